/** Who could read something of a patient's records now: the decision for the people of each member, and those apart for whom it is another. */
import { accountText, type ConsentAll, type Grantee, type Other, parseAccount, type Principal, type SlotMap } from '../core'
import type { Asker, Basis } from './decide'
import { askerOf, type Place, previewOf } from './preview'
import { purposesIn } from './sentence'

/** Reader is everybody of a member, those with a role there, or one person, and how many records they would be given. */
export interface Reader {
  readonly who: Grantee
  readonly given: number
  readonly records: number
}

/** All is what the answer depends on. */
export interface All {
  readonly basis: Basis
  readonly members: readonly Place[]
  /** those whom a consent names, as the ledger knows them, by account */
  readonly people: ReadonlyMap<string, Principal>
  readonly slots: SlotMap
  readonly entries: readonly bigint[]
}

const every = (all: ConsentAll, others: readonly Other[]) => [...all.grants, ...others.flatMap((o) => o.consents.grants)]

/** namedIn lists the people and the roles that consents name, under any pseudonym of hers. */
export function namedIn(all: ConsentAll, others: readonly Other[]): { people: string[]; roles: string[] } {
  const to = every(all, others).map((s) => s.grant.grantee)
  return {
    people: [...new Set(to.filter((g) => g.kind === 4).map((g) => accountText(g.account)))].sort(),
    roles: [...new Set(to.filter((g) => g.kind === 2).map((g) => g.role))].sort(),
  }
}

/** purposesAsked are those that some consent names; treatment if none does. */
export function purposesAsked(all: ConsentAll): number[] {
  const asked = purposesIn(all.grants.reduce((set, s) => set | s.grant.purposes, 0n))
  return asked.length === 0 ? [1] : asked
}

/**
 * readersOf asks for each of them. Whoever gets what everybody at the same place gets is not named apart; who gets less is,
 * also if it is nothing.
 */
export function readersOf({ basis, members, people, slots, entries }: All, patient: Uint8Array, purpose: number, now: bigint): Reader[] {
  const ask = (who: Grantee, asker: Asker | undefined) => {
    const { rows, given, records } = previewOf(basis, asker, patient, purpose, now, slots, entries)
    return { reader: { who, given, records }, open: rows.filter((r) => r.open).map((r) => r.label).join() }
  }
  const { roles, people: named } = namedIn(basis.all, basis.others)
  const out: Reader[] = []
  const usual = new Map<string, string>()
  for (const m of members.filter((m) => m.active)) {
    const account = parseAccount(m.account)
    const everybody = ask({ kind: 3, account, role: '' }, askerOf({ kind: 3, account, role: '' }, purpose, members, undefined))
    usual.set(m.account, everybody.open)
    if (everybody.open !== '') out.push(everybody.reader)
    for (const role of roles) {
      const r = ask({ kind: 2, account, role }, askerOf({ kind: 2, account, role }, purpose, members, undefined))
      if (r.open !== everybody.open) out.push(r.reader)
    }
  }
  for (const account of named) {
    const person = people.get(account)
    if (person === undefined) continue
    const who = { kind: 4, account: person.account, role: '' }
    const r = ask(who, askerOf(who, purpose, members, person))
    if (r.open !== (usual.get(accountText(person.member)) ?? '')) out.push(r.reader)
  }
  return out
}
