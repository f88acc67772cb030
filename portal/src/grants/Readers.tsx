import { NativeSelect } from '@mantine/core'
import { useCallback, useState } from 'react'
import { accountText, hex, type Principal } from '../core'
import { Load } from '../app/part/load'
import { useText } from '../app/text/text'
import type { Found } from './Grants'
import type { Own } from './open'
import { personOf } from './person'
import { declared } from './preview'
import { namedIn, purposesAsked, readersOf } from './readers'
import { granteeOf } from './sentence'

interface ReadersProps {
  readonly found: Found
  readonly own: Own
  readonly patient: Uint8Array
  readonly now: bigint
}

/** Readers is who could read something now, for a purpose, by the ledger's own rules. */
export function Readers(props: ReadersProps) {
  const { all, others } = props.found
  const fetch = useCallback(async (signal: AbortSignal) => {
    const named = namedIn(all, others).people
    const people = await Promise.all(named.map((account) => personOf(account, signal)))
    return new Map(people.flatMap((p): [string, Principal][] => (p === undefined ? [] : [[accountText(p.account), p]])))
  }, [all, others])
  return <Load fetch={fetch}>{(people) => <List {...props} people={people} />}</Load>
}

function List({ found, own, patient, now, people }: ReadersProps & { readonly people: ReadonlyMap<string, Principal> }) {
  const text = useText()
  const { t, purpose } = text
  const purposes = purposesAsked(found.all)
  const [chosen, setChosen] = useState(purposes[0] ?? 1)
  const p = purposes.includes(chosen) ? chosen : (purposes[0] ?? 1)
  const list = p === declared ? [] : readersOf({ basis: { all: found.all, others: found.others }, members: found.members, people, slots: own.slots, entries: own.entries }, patient, p, now)
  return (
    <section aria-label={t('readers.title')}>
      <h2>{t('readers.title')}</h2>
      <NativeSelect className="readers" label={t('seen.purpose')} value={String(p)} onChange={(e) => setChosen(Number(e.currentTarget.value))} data={purposes.map((n) => ({ value: String(n), label: purpose(n) }))} />
      {list.length === 0 ? <p>{t(p === declared ? 'seen.declared' : 'readers.nobody')}</p> : (
        <ul className="lines" aria-label={t('readers.title')}>
          {list.map((r) => <li key={`${r.who.kind}${hex(r.who.account)}${r.who.role}`}>{granteeOf(r.who, found.names, text)}: {t('readers.of', { given: r.given, records: r.records })}</li>)}
        </ul>
      )}
      <p className="hint">{t('readers.hint')}</p>
    </section>
  )
}
