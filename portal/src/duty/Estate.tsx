import { Button, NativeSelect, Textarea, TextInput } from '@mantine/core'
import { useState } from 'react'
import { isAccount } from '../app/account'
import { Empty } from '../app/part/load'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { save } from '../looked/export'
import { Case, type Doing, type Duty } from './Duties'
import { stated } from './statement'

const kinds = ['death', 'executor', 'life'] as const

/** Estate is where two members of staff record a death, name who executes what a patient left, or undo a mistake. */
export function Estate({ d, doing }: { readonly d: Duty; readonly doing: Doing }) {
  const { t } = useText()
  const cases = d.recoveries.filter((k) => k.terms.kind !== 'keys')
  return (
    <>
      <h2>{t('duty.death')}</h2>
      <ol className="hint">{([1, 2, 3, 4] as const).map((n) => <li key={n}>{t(`duty.death.${n}`)}</li>)}</ol>
      {cases.length === 0 ? <Empty title={t('duty.death.none')}>{t('duty.death.none.do')}</Empty> : (
        <ul className="lines" aria-label={t('duty.death')}>{cases.map((k) => <Case key={k.id} k={k} d={d} doing={doing} />)}</ul>
      )}
      {d.may.fresh && <Report doing={doing} />}
    </>
  )
}

function Report({ doing }: { readonly doing: Doing }) {
  const { t } = useText()
  const [kind, setKind] = useState<(typeof kinds)[number]>('death')
  const [patient, setPatient] = useState('')
  const [executor, setExecutor] = useState('')
  const [until, setUntil] = useState('')
  const [seen, setSeen] = useState('')
  const who = patient.trim()
  const other = executor.trim()
  const end = until === '' ? 0 : Date.parse(`${until}T00:00:00Z`) / 1000
  const named = kind !== 'executor' || (isAccount(other) && other !== who)
  const ready = isAccount(who) && named && Number.isFinite(end) && seen.trim() !== ''
  const report = () => {
    const s = stated(who, seen)
    save(`papers-${who.slice(0, 8)}.json`, 'application/json', s.file)
    doing.run('case', { patient: who, kind, document: s.commitment, ...(kind === 'executor' ? { executor: other, notAfter: end } : {}) }, 'duty.death.asked')
    setSeen('')
  }
  return (
    <form className="card" onSubmit={(e) => {
      e.preventDefault()
      if (ready) report()
    }}>
      <NativeSelect label={t('duty.death.what')} value={kind} onChange={(e) => setKind(kinds.find((k) => k === e.currentTarget.value) ?? 'death')} data={kinds.map((k) => ({ value: k, label: t(`duty.death.what.${k}` as Key) }))} />
      <TextInput label={t('duty.death.patient')} value={patient} spellCheck={false} onChange={(e) => setPatient(e.currentTarget.value)} error={who !== '' && !isAccount(who) ? t('duty.death.account.bad') : undefined} />
      {kind === 'executor' && (
        <>
          <TextInput label={t('duty.death.executor')} description={t('duty.death.executor.hint')} value={executor} spellCheck={false} onChange={(e) => setExecutor(e.currentTarget.value)} error={other !== '' && !named ? t('duty.death.account.bad') : undefined} />
          <TextInput type="date" label={t('duty.death.until')} value={until} onChange={(e) => setUntil(e.currentTarget.value)} />
        </>
      )}
      <Textarea label={t('duty.death.seen')} description={t('duty.statement.hint')} rows={3} value={seen} onChange={(e) => setSeen(e.currentTarget.value)} maxLength={20_000} />
      <div className="buttons"><Button type="submit" disabled={doing.busy || !ready}>{t('duty.death.sign')}</Button></div>
    </form>
  )
}
