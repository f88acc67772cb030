import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { getJSON, postJSON, Problem } from '../app/api'
import { Failure } from '../app/part/load'
import { useText } from '../app/text/text'
import type { Chosen } from './Clinic'
import { pseudonymIn } from './line'

interface Found {
  readonly account: string
  readonly reference: string
}

/** Find looks for the holder of a pseudonym. That she is a patient of the network is all that it tells. */
export function Find({ choose }: { readonly choose: (c: Chosen) => void }) {
  const { t } = useText()
  const [typed, setTyped] = useState('')
  const [bad, setBad] = useState('')
  const [found, setFound] = useState<Found>()
  const [error, setError] = useState<unknown>()
  const open = (f: Found) => choose({ reference: f.reference, name: t('clinic.pseudonym', { account: f.account.slice(0, 8) }) })
  const find = async (e: FormEvent) => {
    e.preventDefault()
    setFound(undefined)
    setError(undefined)
    const account = pseudonymIn(typed)
    setBad(account === undefined ? t('clinic.find.bad') : '')
    if (account === undefined) return
    try {
      const f = await getJSON<Found>(`patients/${account.toLowerCase()}`)
      if (f.reference !== '') open(f)
      else setFound(f)
    } catch (err) {
      if (err instanceof Problem && (err.code === 'unknown' || err.code === 'argument')) setBad(t('clinic.find.unknown'))
      else setError(err)
    }
  }
  return (
    <>
      <form className="clinic-row" onSubmit={(e) => void find(e)}>
        <TextInput className="grow" label={t('clinic.find.label')} description={t('clinic.find.hint')} error={bad === '' ? undefined : bad} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} maxLength={4000} autoComplete="off" spellCheck={false} />
        <Button type="submit" variant="default">{t('clinic.find.do')}</Button>
      </form>
      <div aria-live="polite">
        {error !== undefined && <Failure error={error} />}
        {found !== undefined && (
          <div className="note">
            <strong>{t('clinic.find.new')}</strong>
            <p>{t('clinic.find.new.do')}</p>
            <Button onClick={() => postJSON<Found>(`patients/${found.account}`, {}).then(open, setError)}>{t('clinic.find.adopt')}</Button>
          </div>
        )}
      </div>
    </>
  )
}
