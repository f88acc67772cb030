/**
 * What a reader would get: the ledger's decision (spec/consent.md section 3,
 * ledger/module/consent: Basis.Decide) over the consents as they stand or as they
 * would be, so that a patient sees what follows before she signs. Compared
 * with the ledger's own by spec/vectors/consent/decide.json. A death is not
 * known here: after it nobody signs with this wallet.
 */
import { type ConsentAll, equal, isZero, type Other, type Standing, type StandingProxy } from '../core'

/** Who asks, as the ledger knows them. */
export interface Asker {
  readonly account: Uint8Array
  /** 2 practitioner, 3 device, 4 patient */
  readonly class: number
  readonly member: Uint8Array
  readonly active: boolean
  readonly roles: readonly string[]
  readonly memberActive: boolean
  readonly memberClinical: boolean
}

export interface Question {
  readonly patient: Uint8Array
  readonly asker: Asker
  readonly purpose: number
  readonly requested: bigint
  /** unix seconds */
  readonly now: bigint
}

/** parents is HL7's tree of purposes: number to number above. */
const parents: Readonly<Record<number, number>> = {
  2: 1, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1, 8: 1, 30: 9, 31: 9, 32: 9, 33: 32, 34: 32, 35: 32, 36: 9, 37: 9,
  19: 10, 38: 10, 39: 10, 40: 10, 41: 10, 42: 10, 43: 10, 44: 10, 45: 10, 20: 10, 46: 10, 47: 10, 48: 10, 49: 10, 50: 10, 51: 10, 52: 10, 53: 10, 54: 10, 55: 10, 56: 10, 57: 56, 58: 10, 59: 10,
  24: 11, 12: 11, 13: 11, 25: 12, 26: 12, 27: 12, 28: 11, 29: 11, 22: 14, 23: 14, 16: 15, 17: 15, 21: 15,
}

const bit = (n: number): bigint => 1n << BigInt(n)

/** covers reports whether a set allows a purpose: it or one above it is named; emergencies only by themselves. */
export function covers(set: bigint, purpose: number): boolean {
  if ((set & bit(purpose)) !== 0n) return true
  if (purpose >= 2 && purpose <= 4) return false
  for (let up = parents[purpose]; up !== undefined; up = parents[up]) if ((set & bit(up)) !== 0n) return true
  return false
}

const inForce = (t: { notBefore: bigint; notAfter: bigint }, now: bigint): boolean => now >= t.notBefore && (t.notAfter === 0n || now < t.notAfter)
const personal = (p: number): boolean => p === 15 || parents[p] === 15

function proxyOf(c: ConsentAll, account: Uint8Array): StandingProxy | undefined {
  return c.proxies.find((p) => equal(p.proxy.account, account))
}

const holds = (p: StandingProxy, q: Question): boolean => inForce(p.proxy, q.now) && covers(p.proxy.purposes, q.purpose)

/**
 * Basis is what a decision rests on: what was consented to under this pseudonym, and
 * what was said under those merged with it, which only denies.
 */
export interface Basis {
  readonly all: ConsentAll
  readonly others: readonly Other[]
}

/** decide gives the slots that may be read, never more than were requested. */
export const decide = (q: Question, b: Basis): bigint => alone(q, b.all) & ~withheld(q, b.others)

/** withheld are the slots that the other pseudonyms deny to who asks; to the patient herself none. */
function withheld(q: Question, others: readonly Other[]): bigint {
  let denied = 0n
  if (equal(q.asker.account, q.patient)) return denied
  for (const o of others) {
    if (q.asker.class === 4) {
      const p = proxyOf(o.consents, q.asker.account)
      if (p !== undefined && holds(p, q)) denied |= p.proxy.except
      continue
    }
    for (const s of o.consents.grants) denied |= reach(s, { ...q, patient: o.patient }, o.consents)?.except ?? 0n
  }
  return denied
}

/** alone decides by the consents of one pseudonym. */
function alone(q: Question, c: ConsentAll): bigint {
  const a = q.asker
  if (q.purpose < 1 || q.purpose > 59 || !a.active) return 0n
  if (a.class === 4) {
    if (equal(a.account, q.patient)) return q.purpose === 15 ? q.requested : 0n
    const p = proxyOf(c, a.account)
    return p !== undefined && personal(q.purpose) && holds(p, q) ? q.requested & p.proxy.mask & ~p.proxy.except : 0n
  }
  if ((a.class !== 2 && a.class !== 3) || !a.memberActive) return 0n
  let allowed = 0n
  let denied = 0n
  for (const s of c.grants) {
    const r = reach(s, q, c)
    if (r === undefined) continue
    denied |= r.except
    if (s.grant.uses === 0 || s.left > 0) allowed |= r.mask // one whose uses are exhausted still denies
  }
  return q.requested & allowed & ~denied
}

/** reach is how far a grant that matches the question goes; undefined if it does not match. */
function reach(s: Standing, q: Question, c: ConsentAll): { mask: bigint; except: bigint } | undefined {
  const g = s.grant
  if (!inForce(g, q.now) || !covers(g.purposes, q.purpose) || !includes(s, q.asker)) return undefined
  if (g.recorded || equal(s.signer, q.patient)) return g
  const p = proxyOf(c, s.signer)
  if (p === undefined || p.since > s.height || !holds(p, q)) return undefined
  return { mask: g.mask & p.proxy.mask, except: g.except | p.proxy.except }
}

function includes(s: Standing, a: Asker): boolean {
  const { kind, account, role } = s.grant.grantee
  switch (kind) {
    case 1: return a.memberClinical
    case 2: return a.roles.includes(role) && (isZero(account) ? a.memberClinical : equal(account, a.member))
    case 3: return equal(account, a.member)
    case 4: return equal(account, a.account)
    default: return false
  }
}

/** withGrant gives the consents as they would be with this grant in the place of the one of its id. */
export const withGrant = (c: ConsentAll, s: Standing): ConsentAll => ({ ...c, grants: [...c.grants.filter((o) => !equal(o.grant.id, s.grant.id)), s] })

/** readable reports whether a record in these slots may be opened under what is allowed: all of them must be. */
export const readable = (slots: bigint, allowed: bigint): boolean => slots !== 0n && (slots & ~allowed) === 0n
