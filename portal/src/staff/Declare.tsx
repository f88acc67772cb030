import { Button, NativeSelect } from '@mantine/core'
import { useCallback, useState } from 'react'
import { getJSON, Problem } from '../app/api'
import { Failure, Load } from '../app/part/load'
import { useSession } from '../app/session'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { operate } from '../clinic/fhir'
import { declare, type How, type Wish } from './passkey'

const reasons = ['OVRER', 'OVRINCOMP', 'OVRPJ', 'OVRPS', 'OVRTPS']
const hours = [1, 2, 4]

/** Declare is where a practitioner who may breaks the glass about the patient whose chart is open. Who may not sees nothing. */
export function Declare({ reference, purpose, opened, done }: { readonly reference: string; readonly purpose: string; readonly opened: boolean; readonly done: () => void }) {
  const fetch = useCallback((signal: AbortSignal) => getJSON<How>('emergency', signal), [])
  return <Load fetch={fetch}>{(how) => how.may && <Form how={how} reference={reference} purpose={purpose} opened={opened} done={done} />}</Load>
}

function Form({ how, reference, purpose, opened, done }: { readonly how: How; readonly reference: string; readonly purpose: string; readonly opened: boolean; readonly done: () => void }) {
  const { t } = useText()
  const { about, enter } = useSession()
  const [reason, setReason] = useState('OVRER')
  const [lasts, setLasts] = useState('1')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const widening = purpose === 'BTG' && opened
  const run = async () => {
    const wish: Wish = widening ? { step: 'widen', patient: reference, reason: '', seconds: 0 } : { step: 'declare', patient: reference, reason, seconds: Number(lasts) * 3600 }
    setBusy(true)
    setError(undefined)
    try {
      if (how.passkey) enter(await declare(about, wish))
      else await operate(widening ? '$break-glass-widen' : '$break-glass', reference, widening ? undefined : { reason, seconds: wish.seconds })
      done()
    } catch (err) {
      setError(err)
    }
    setBusy(false)
  }
  const anew = !how.passkey && purpose !== 'BTG'
  return (
    <section aria-labelledby="break">
      <h2 id="break">{t(widening ? 'staff.break.widen' : 'staff.break')}</h2>
      <p className="hint">{t(widening ? 'staff.break.widen.hint' : 'staff.break.hint')}</p>
      {anew ? (
        <div className="note"><p>{t('staff.break.anew')}</p><Button component="a" href="/api/staff/start?purpose=BTG&fresh=1" variant="default">{t('staff.break.anew.do')}</Button></div>
      ) : (
        <form className="card" onSubmit={(e) => { e.preventDefault(); void run() }}>
          {!widening && (
            <div className="clinic-row">
              <NativeSelect label={t('staff.break.reason')} value={reason} onChange={(e) => setReason(e.currentTarget.value)} data={reasons.map((r, i) => ({ value: r, label: t(`looked.reason.${i + 1}` as Key) }))} />
              <NativeSelect label={t('staff.break.lasts')} value={lasts} onChange={(e) => setLasts(e.currentTarget.value)} data={hours.map((h) => ({ value: String(h), label: t('staff.break.hours', { count: h }) }))} />
            </div>
          )}
          <div className="buttons"><Button type="submit" disabled={busy}>{t(how.passkey ? (widening ? 'staff.break.widen.passkey' : 'staff.break.passkey') : widening ? 'staff.break.widen.do' : 'staff.break.do')}</Button></div>
        </form>
      )}
      <div role="status">{busy && <p>{t('staff.break.working')}</p>}</div>
      {error !== undefined && (error instanceof Problem && (error.code === 'proof' || error.code === 'emergency-step-up') ? <p className="note note-bad" role="alert">{t(how.passkey ? 'staff.break.proof' : 'staff.break.old')}</p> : <Failure error={error} />)}
    </section>
  )
}
