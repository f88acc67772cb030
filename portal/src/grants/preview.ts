/** What exactly a reader would get: the decision over the labels of the patient's own records. */
import { bitCount, equal, type Grantee, isZero, labelsIn, parseAccount, type Principal, type SlotMap } from '../core'
import { type Asker, type Basis, decide, readable } from './decide'
import { grantable } from './sentence'

/** Row is one label: how many of her records bear it, and how many of those would be given. */
export interface Row {
  readonly label: string
  readonly open: boolean
  readonly records: number
  readonly given: number
}

export interface Preview {
  readonly rows: readonly Row[]
  readonly records: number
  readonly given: number
}

/** Place is a member as far as a decision asks about it. */
export interface Place {
  readonly account: string
  readonly clinical: boolean
  readonly active: boolean
}

/** What lets somebody open sessions at all, and such for emergencies (ledger/module/identity). */
const mayRead = 1
const mayInEmergencies = 4
/** Breaking the glass is declared (emergency.md): no consent opens a session for it. */
export const declared = 3

/**
 * askerOf is somebody whom a grantee includes, who asks for a purpose. Of a person it needs what the ledger
 * holds about her. Where the grantee leaves open where somebody works, it is at the first of the clinical
 * members. undefined: there is nobody whom it could include.
 */
export function askerOf(g: Grantee, purpose: number, members: readonly Place[], person: Principal | undefined): Asker | undefined {
  if (purpose === declared) return undefined
  if (g.kind === 4) {
    if (person === undefined || !equal(person.account, g.account)) return undefined
    const place = members.find((m) => equal(parseAccount(m.account), person.member))
    const needs = purpose >= 2 && purpose <= 4 ? mayRead | mayInEmergencies : mayRead
    return {
      account: g.account, class: person.class, member: person.member, active: person.active && (person.privileges & needs) === needs,
      roles: person.roles, memberActive: place?.active ?? false, memberClinical: place?.clinical ?? false,
    }
  }
  const named = g.kind === 3 || !isZero(g.account)
  const place = members.find((m) => (named ? equal(parseAccount(m.account), g.account) : m.clinical && m.active))
  if (place === undefined) return undefined
  return {
    account: new Uint8Array(16).fill(0xff), class: 2, member: parseAccount(place.account), active: true,
    roles: g.role === '' ? [] : [g.role], memberActive: place.active, memberClinical: place.clinical,
  }
}

const everything = (1n << 64n) - 1n

/** previewOf decides for one reader, who may be nobody, and purpose. entries are the slots of each of her records, as located. */
export function previewOf(b: Basis, asker: Asker | undefined, patient: Uint8Array, purpose: number, now: bigint, m: SlotMap, entries: readonly bigint[]): Preview {
  const allowed = asker === undefined ? 0n : decide({ patient, asker, purpose, requested: everything, now }, b)
  const own = entries.map((slots) => ({ labels: labelsIn(m, slots), given: readable(slots, allowed), slots }))
  const rows = grantable(m).map((label): Row => {
    const bearing = own.filter((o) => o.labels.includes(label))
    const slot = m.slots[m.labels.indexOf(label)] ?? 0
    return { label, open: (allowed & (1n << BigInt(slot))) !== 0n, records: bearing.length, given: bearing.filter((o) => o.given).length }
  })
  const records = own.filter((o) => !o.labels.includes('steward') && bitCount(o.slots) > 0)
  return { rows, records: records.length, given: records.filter((o) => o.given).length }
}
