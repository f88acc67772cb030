import './clinic.css'
import { Button, NativeSelect } from '@mantine/core'
import { useState } from 'react'
import { Problem } from '../app/api'
import { Empty, Failure } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { useText } from '../app/text/text'
import { signInStaff } from '../staff/passkey'
import { ChartView } from './ChartView'
import { Find } from './Find'
import { Patients } from './Patients'
import { numberOf, purposes } from './purpose'

/** Chosen is the patient whose chart is asked for. Who it is stands in no address and no storage. */
export interface Chosen {
  readonly reference: string
  readonly name: string
}

/** Clinic is the clinician's area: signed out, the door; signed in, the patients or one chart. */
export function Clinic() {
  const { t, time, purpose } = useText()
  const { about, info } = useSession()
  const [chosen, setChosen] = useState<Chosen>()
  if (info === undefined || info.role === 'patient' || info.role === 'newcomer') {
    return (
      <>
        <Heading title={t('staff.title')} lead={t('staff.lead', { name: about.name })} />
        {window.location.hash.includes('refused=') && <p className="note note-bad" role="alert">{t('staff.refused')}</p>}
        {about.staff ? <Purpose current="" door /> : <Empty title={t('staff.refused')}>{t('app.unknown.do')}</Empty>}
      </>
    )
  }
  const code = info.purpose ?? ''
  if (chosen !== undefined) return <ChartView key={`${chosen.reference} ${code}`} chosen={chosen} purpose={code} back={() => setChosen(undefined)} />
  return (
    <>
      <Heading title={t('clinic.title')} lead={code === '' ? t('clinic.lead.none', { name: info.name ?? '' }) : t('clinic.lead', { name: info.name ?? '', purpose: purpose(numberOf(code)) })} />
      <p className="hint">{t('clinic.ends', { time: time(Date.parse(info.ends) / 1000) })}</p>
      <Patients choose={setChosen} />
      <h2>{t('clinic.find')}</h2>
      <Find choose={setChosen} />
      <h2>{t('clinic.purpose')}</h2>
      <p className="hint">{t('clinic.purpose.hint')}</p>
      <Purpose current={code} />
    </>
  )
}

/** Purpose is where a clinician says what for, and signs in for it: with her passkey, or where the organisation signs her in. */
function Purpose({ current, door = false }: { readonly current: string; readonly door?: boolean }) {
  const { t, purpose } = useText()
  const { about, enter } = useSession()
  const [code, setCode] = useState(current === '' || !purposes.some(([c]) => c === current) ? 'TREAT' : current)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const signIn = async () => {
    setBusy(true)
    setError(undefined)
    try {
      enter(await signInStaff(about, code))
    } catch (err) {
      setError(err)
    }
    setBusy(false)
  }
  return (
    <>
      <div className="clinic-row">
        <NativeSelect label={t('clinic.purpose')} value={code} onChange={(e) => setCode(e.currentTarget.value)} data={purposes.map(([c, n]) => ({ value: c, label: purpose(n) }))} />
        <Button disabled={busy} onClick={() => void signIn()}>{t('staff.passkey')}</Button>
        <Button component="a" variant="default" href={`/api/staff/start?purpose=${encodeURIComponent(code)}`}>{t(current === '' ? 'staff.signIn' : 'clinic.purpose.change')}</Button>
      </div>
      {door && <p className="hint">{t('staff.passkey.hint', { name: about.name })}</p>}
      {error !== undefined && (error instanceof Problem && error.code === 'role' ? <p className="note note-bad" role="alert">{t('error.staffRole')}</p> : <Failure error={error} />)}
    </>
  )
}
