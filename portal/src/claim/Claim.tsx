import './claim.css'
import { Button, Textarea } from '@mantine/core'
import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react'
import { codeOf } from '../core'
import { Problem } from '../app/api'
import { sentence } from '../app/part/load'
import { Heading } from '../app/part/title'
import { pathTo } from '../app/route'
import { useSession } from '../app/session'
import { Fingerprint } from '../trust/Root'
import { type Text, useText } from '../app/text/text'
import { claim, type ClaimStep, type Made } from './claim'
import { Scan } from './Scan'
import { type ClaimCode, CodeError, codeInLink, codeText, parseCode } from './code'

const steps: readonly ClaimStep[] = ['asking', 'making', 'signing', 'waiting', 'entering']

/** fromLink takes the code out of the address, so that it stays in no history and no bookmark. */
function fromLink(): string {
  const given = codeInLink(window.location.hash)
  if (given === undefined) return ''
  window.history.replaceState(null, '', pathTo('patient', 'claim'))
  try {
    return codeText(parseCode(given))
  } catch {
    return given.slice(0, 200)
  }
}

/** problem says what is wrong with a code or a claim, and what to do. */
function problem(err: unknown, text: Text): string {
  if (err instanceof CodeError) return text.t(`claim.fault.${err.fault}`)
  if (err instanceof Problem) {
    switch (err.code) {
      case 'claim': return text.t('claim.wrong')
      case 'claimed': return text.t('claim.used')
      case 'late': return text.t('claim.late')
    }
  }
  // The ledger's own words: used or not enrolled, not the enrolled key, expired before a block took it.
  switch (codeOf(err)) {
    case 0x0311: return text.t('claim.used')
    case 0x0312: return text.t('claim.wrong')
    default: return sentence(err, text)
  }
}

/** used reports that a passkey may hold the record already. */
const used = (err: unknown): boolean => codeOf(err) === 0x0311 || (err instanceof Problem && (err.code === 'claimed' || err.code === 'late'))

/** Claim is where a patient takes over the record that an organisation opened for her, by its one-time code. */
export function Claim() {
  const { about, info, enter, leave } = useSession()
  const text = useText()
  const { t } = text
  const [typed, setTyped] = useState(fromLink)
  const [step, setStep] = useState<ClaimStep>()
  const [error, setError] = useState<unknown>()
  const made = useRef<Made>({})
  useEffect(() => {
    const opened = () => {
      const code = fromLink()
      if (code !== '') setTyped(code)
    }
    window.addEventListener('hashchange', opened)
    return () => window.removeEventListener('hashchange', opened)
  }, [])
  const scanned = useCallback((text: string) => {
    try {
      setTyped(codeText(parseCode(text)))
      return true
    } catch {
      return false
    }
  }, [])
  const go = () => {
    let code: ClaimCode
    try {
      code = parseCode(typed)
    } catch (err) {
      setError(err)
      return
    }
    setError(undefined)
    claim(about, code, made.current, setStep).then(
      (session) => {
        setTyped('')
        enter(session)
        window.location.hash = pathTo('patient', 'looked').slice(1)
      },
      (err: unknown) => {
        setError(err)
        setStep(undefined)
      },
    )
  }
  if (info !== undefined) {
    return (
      <Frame>
        <p>{t('claim.signedIn')}</p>
        <Button variant="default" onClick={() => void leave('out')}>{t('app.signOut')}</Button>
      </Frame>
    )
  }
  const at = step === undefined ? -1 : steps.indexOf(step)
  return (
    <Frame>
      <form className="card" onSubmit={(e) => { e.preventDefault(); go() }}>
        <Textarea label={t('claim.code')} description={t('claim.code.hint')} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} disabled={step !== undefined}
          rows={4} autoComplete="off" autoCapitalize="none" spellCheck={false} classNames={{ input: 'mono' }} />
        {step === undefined && <Scan accept={scanned} />}
        <Button type="submit" size="md" fullWidth loading={step !== undefined}>{t('claim.go')}</Button>
        <p className="hint">{t('claim.asked')}</p>
        {at >= 0 && (
          <ol className="steps" role="status" aria-label={t('claim.steps')}>
            {steps.map((s, i) => <li key={s} className={i < at ? 'step-done' : i === at ? 'step-now' : 'step-next'} {...(i === at ? { 'aria-current': 'step' as const } : {})}>{t(`claim.step.${s}`)}</li>)}
          </ol>
        )}
        {error !== undefined && (
          <div className="note note-bad" role="alert">
            <strong>{t('claim.failed')}</strong>
            <p>{problem(error, text)}</p>
            {used(error) && <p><a href={pathTo('patient')}>{t('enter.signIn')}</a></p>}
          </div>
        )}
      </form>
      <p className="hint claim-back"><a href={pathTo('patient')}>{t('claim.back')}</a></p>
    </Frame>
  )
}

function Frame({ children }: { readonly children: ReactNode }) {
  const { t } = useText()
  const { about } = useSession()
  return (
    <section className="enter">
      <Heading title={t('claim.title')} lead={t('claim.lead', { name: about.name })} />
      {children}
      <Fingerprint />
    </section>
  )
}
