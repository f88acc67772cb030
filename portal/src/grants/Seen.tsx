import { NativeSelect } from '@mantine/core'
import { useCallback, useState } from 'react'
import { accountText, type ConsentAll, type Grantee, type Other, type Principal } from '../core'
import { Load } from '../app/part/load'
import { useText } from '../app/text/text'
import type { Own } from './open'
import { personOf } from './person'
import { askerOf, declared, type Place, previewOf } from './preview'
import { labelText } from './sentence'

interface SeenProps {
  readonly own: Own
  readonly patient: Uint8Array
  /** unix seconds: today, and when what is asked for begins */
  readonly now: bigint
  readonly from: bigint
  readonly grantee: Grantee
  readonly purposes: readonly number[]
  readonly members: readonly Place[]
  readonly others: readonly Other[]
  readonly before: ConsentAll
  readonly after: ConsentAll
}

/** Seen is the preview: what exactly this reader would get of the patient's own records, by the ledger's own rules. */
export function Seen(props: SeenProps) {
  const { grantee } = props
  const account = grantee.kind === 4 ? accountText(grantee.account) : ''
  const fetch = useCallback((signal: AbortSignal) => personOf(account, signal), [account])
  return account === '' ? <Table {...props} person={undefined} /> : <Load fetch={fetch}>{(person) => <Table {...props} person={person} />}</Load>
}

function Table({ own, patient, now, from, grantee, purposes, members, others, before, after, person }: SeenProps & { readonly person: Principal | undefined }) {
  const text = useText()
  const { t, purpose, time } = text
  const [chosen, setChosen] = useState(purposes[0] ?? 1)
  const p = purposes.includes(chosen) ? chosen : (purposes[0] ?? 1)
  const asker = askerOf(grantee, p, members, person)
  const look = (all: ConsentAll, at: bigint) => previewOf({ all, others }, asker, patient, p, at, own.slots, own.entries)
  const then = look(after, from)
  const sum = { given: then.given, records: then.records, today: look(before, now).given }
  return (
    <>
      <h3>{t('seen.title')}</h3>
      {purposes.length > 1 && <NativeSelect label={t('seen.purpose')} value={String(p)} onChange={(e) => setChosen(Number(e.currentTarget.value))} data={purposes.map((n) => ({ value: String(n), label: purpose(n) }))} />}
      <p>{from > now ? t('cool.sum', { ...sum, time: time(from), until: look(after, now).given }) : t('seen.sum', sum)}</p>
      <div className="scroll seen" role="region" aria-label={t('seen.title')} tabIndex={0}>
        <table>
          <thead><tr><th scope="col">{t('seen.kind')}</th><th scope="col">{t('seen.then')}</th><th scope="col">{t('seen.records')}</th></tr></thead>
          <tbody>
            {then.rows.map((r) => <tr key={r.label}><th scope="row">{labelText(r.label, text)}</th><td>{t(r.open ? 'seen.yes' : 'seen.no')}</td><td>{t('seen.of', { given: r.given, records: r.records })}</td></tr>)}
          </tbody>
        </table>
      </div>
      {asker === undefined && <p>{t(p === declared ? 'seen.declared' : 'seen.nobody')}</p>}
      {others.length > 0 && <p>{t('seen.merged')}</p>}
      <p className="hint">{t('seen.hint')}</p>
    </>
  )
}
