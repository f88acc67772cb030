import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useCallback, useState } from 'react'
import { getJSON, Problem, remove } from '../app/api'
import { Empty, Failure, Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { useText } from '../app/text/text'
import { type Known, register, type Registered } from './passkey'

/** Keys is where a practitioner registers passkeys of her own and takes them away. */
export function Keys() {
  const { t } = useText()
  const { about, info } = useSession()
  const [turn, setTurn] = useState(0)
  const [label, setLabel] = useState('')
  const [busy, setBusy] = useState(false)
  const [said, setSaid] = useState('')
  const [error, setError] = useState<unknown>()
  const fetch = useCallback((signal: AbortSignal) => {
    void turn
    return getJSON<Registered>('staff/passkeys', signal)
  }, [turn])
  const run = async (what: () => Promise<unknown>, done: string) => {
    setBusy(true)
    setSaid('')
    setError(undefined)
    try {
      await what()
      setSaid(done)
      setLabel('')
    } catch (err) {
      setError(err)
    }
    setBusy(false)
    setTurn((n) => n + 1)
  }
  const add = (e: FormEvent) => {
    e.preventDefault()
    void run(() => register(about, info?.name ?? '', label.trim()), t('staff.key.added'))
  }
  return (
    <>
      <Heading title={t('staff.key.title')} lead={t('staff.key.lead')} />
      <div aria-live="polite">{said !== '' && <p className="note note-good">{said}</p>}</div>
      {error !== undefined && (error instanceof Problem && error.code === 'stale' ? <p className="note note-bad" role="alert">{t('staff.key.stale')}</p> : <Failure error={error} />)}
      <Load fetch={fetch}>{(have) => (
        <>
          {have.keys.length === 0 ? <Empty title={t('staff.key.none')}>{t('staff.key.none.do')}</Empty> : (
            <KeyList keys={have.keys} busy={busy || !have.fresh} take={(k) => void run(() => remove(`staff/passkeys/${k.id}`), t('staff.key.removed'))} />
          )}
          {have.fresh ? (
            <form className="card" onSubmit={add}>
              <TextInput label={t('staff.key.label')} description={t('staff.key.label.hint')} value={label} onChange={(e) => setLabel(e.currentTarget.value)} maxLength={60} autoComplete="off" />
              <div className="buttons"><Button type="submit" disabled={busy || label.trim() === ''}>{t('staff.key.add')}</Button></div>
            </form>
          ) : (
            <div className="note"><p>{t('staff.key.stale')}</p><Button component="a" href="/api/staff/start?fresh=1">{t('duty.fresh')}</Button></div>
          )}
          <p className="hint">{t('staff.key.not')}</p>
        </>
      )}</Load>
    </>
  )
}

/** KeyList lists passkeys; what takes one away is asked for twice. */
export function KeyList({ keys, busy, take }: { readonly keys: readonly Known[]; readonly busy: boolean; readonly take: (k: Known) => void }) {
  const { t, time } = useText()
  const [asked, setAsked] = useState('')
  const seconds = (s: string) => Date.parse(s) / 1000
  return (
    <ul className="lines" aria-label={t('staff.key.title')}>
      {keys.map((k) => (
        <li key={k.id}>
          <strong>{k.label}</strong>
          <div className="facts">
            <span>{t('staff.key.made', { time: time(seconds(k.made)) })}</span>
            <span>{k.used === undefined ? t('staff.key.unused') : t('staff.key.used', { time: time(seconds(k.used)) })}</span>
          </div>
          {asked === k.id ? (
            <div className="note" role="group" aria-label={t('staff.key.take.of', { label: k.label })}>
              <p>{t('staff.key.take.what')}</p>
              <div className="buttons">
                <Button size="xs" disabled={busy} onClick={() => { setAsked(''); take(k) }}>{t('staff.key.take')}</Button>
                <Button size="xs" variant="default" onClick={() => setAsked('')}>{t('act.cancel')}</Button>
              </div>
            </div>
          ) : <div className="buttons"><Button size="xs" variant="default" disabled={busy} onClick={() => setAsked(k.id)} aria-label={t('staff.key.take.of', { label: k.label })}>{t('staff.key.take')}</Button></div>}
        </li>
      ))}
    </ul>
  )
}
