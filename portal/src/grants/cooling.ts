/**
 * "Widening takes effect after a day": a consent that gives somebody more than the one in whose place it stands begins a
 * day later, by its own start on the ledger, and can be taken back until then. What a change takes away holds at once.
 */
import { type ConsentAll, equal, type Grant, maskOf, type Random, type SlotMap, type Standing } from '../core'
import { covers, withGrant } from './decide'
import { grantable } from './sentence'
import { grantOf, wishOf } from './wish'

/** A day, in seconds. */
export const day = 86_400n

const purposes = Array.from({ length: 59 }, (_, i) => i + 1)
const over = (g: Grant, now: bigint): boolean => g.notAfter !== 0n && g.notAfter <= now
const standingOf = (c: ConsentAll, id: Uint8Array): Standing | undefined => c.grants.find((s) => equal(s.grant.id, id))
/** Only the slots of labels count where the map is open: which dummies a mask has means nothing. */
const counted = (m: SlotMap | undefined): bigint => (m === undefined ? (1n << 64n) - 1n : maskOf(m, grantable(m)))
const lasts = (a: Grant, b: Grant): boolean => b.notAfter !== 0n && (a.notAfter === 0n || a.notAfter > b.notAfter)
const covered = (a: Grant, b: Grant): boolean => purposes.every((p) => !covers(a.purposes, p) || covers(b.purposes, p))

/** allowed reports whether another consent gives any of these slots. */
const allowed = (c: ConsentAll, but: Grant, slots: bigint): boolean => c.grants.some((s) => !equal(s.grant.id, but.id) && (s.grant.mask & ~s.grant.except & slots) !== 0n)

/**
 * lifts reports whether a change ends a denial that holds against another consent, for a time or a purpose. With the map closed
 * nobody knows; then kinds do not change.
 */
function lifts(c: ConsentAll, from: Grant, to: Grant, m: SlotMap | undefined, now: bigint): boolean {
  if (m === undefined || over(from, now)) return false
  const denied = from.except & counted(m)
  const shorter = !covered(from, to) || lasts(from, to) || (to.notBefore > from.notBefore && to.notBefore > now)
  return allowed(c, from, shorter ? denied : denied & ~to.except)
}

/** reaches reports whether a denial that holds against another consent is to hold for more purposes, or longer. */
const reaches = (c: ConsentAll, from: Grant, to: Grant, m: SlotMap | undefined): boolean =>
  m !== undefined && (!covered(to, from) || lasts(to, from)) && allowed(c, from, to.except & counted(m))

/**
 * widens reports whether a consent could give anybody what she could not have had before: it is new, or more of it is given, for more, for
 * longer or more often, or it ends a denial. Somebody else may have been given the same by another consent already: it counts all the same.
 */
export function widens(c: ConsentAll, to: Grant, patient: Uint8Array, m: SlotMap | undefined, now: bigint): boolean {
  const given = to.mask & ~to.except & counted(m)
  const was = standingOf(c, to.id)
  if (was === undefined) return given !== 0n
  const from = was.grant
  if (lifts(c, from, to, m, now)) return true
  if (given === 0n) return false
  const other = !equal(from.grantee.account, to.grantee.account) || from.grantee.kind !== to.grantee.kind || from.grantee.role !== to.grantee.role
  const byProxy = !from.recorded && !equal(was.signer, patient) // and no further than the proxy may
  const sooner = to.notBefore < from.notBefore && from.notBefore > now
  const oftener = from.uses !== 0 && (to.uses === 0 || to.uses > was.left)
  return other || byProxy || sooner || oftener || (given & ~(from.mask & ~from.except)) !== 0n || !covered(to, from) || lasts(to, from)
}

/** Later is what is signed instead of a consent that would widen at once. */
export interface Later {
  /** begins at start */
  readonly grant: Grant
  /** what is signed before it and holds at once; undefined if what stands stays as it is; "revoke" if nothing of it stays */
  readonly meanwhile: Grant | 'revoke' | undefined
}

/**
 * laterOf makes a consent begin at start. A changed one stays beside it as far as both allow, so that taking the new one
 * back leaves that. undefined: two consents cannot say it, because the change touches how far a denial holds against another
 * consent; because uses are counted; or because it would be over by then.
 */
export function laterOf(c: ConsentAll, to: Grant, patient: Uint8Array, m: SlotMap | undefined, start: bigint, now: bigint, random?: Random): Later | undefined {
  const later: Grant = { ...to, notBefore: to.notBefore > start ? to.notBefore : start }
  if (over(to, later.notBefore)) return undefined
  const from = standingOf(c, to.id)?.grant
  if (from === undefined) {
    if (m === undefined || !allowed(c, to, to.except & counted(m))) return { grant: later, meanwhile: undefined }
    return { grant: later, meanwhile: grantOf({ ...wishOf(to, m), allowed: [], uses: 0 }, m, undefined, random) }
  }
  if (lifts(c, from, to, m, now) || reaches(c, from, to, m)) return undefined
  // What has not begun, or is over, gives nothing in the meantime.
  if ((from.notBefore > now || over(from, now)) && !lifts(c, from, later, m, now)) return { grant: later, meanwhile: undefined }
  if (from.uses !== 0 || to.uses !== 0) return undefined
  const grant: Grant = { ...later, id: random?.(16) ?? crypto.getRandomValues(new Uint8Array(16)), version: 1n }
  const [had, wish] = [wishOf(from, m), wishOf(to, m)]
  const stays = had.allowed?.filter((l) => wish.allowed?.includes(l) ?? true)
  const lost = stays?.length !== had.allowed?.length || wish.denied.some((l) => !had.denied.includes(l)) || !covered(from, to) || lasts(from, to)
  if (!lost) return { grant, meanwhile: undefined }
  const both = purposes.reduce((set, p) => (covers(from.purposes, p) && covers(to.purposes, p) ? set | (1n << BigInt(p)) : set), 0n)
  if (both !== 0n) {
    const meanwhile = grantOf({ ...had, allowed: stays, denied: wish.denied, purposes: both, notAfter: lasts(from, to) ? to.notAfter : from.notAfter }, m, from, random)
    if (!widens(c, meanwhile, patient, m, now)) return { grant, meanwhile }
  }
  return lifts(c, from, { ...to, except: 0n }, m, now) ? undefined : { grant, meanwhile: 'revoke' }
}

/** withLater gives the consents as they stand when all of it is signed, in the place of the one of an id. */
export function withLater(c: ConsentAll, id: Uint8Array, l: Later, patient: Uint8Array): ConsentAll {
  const put = (to: ConsentAll, grant: Grant) => withGrant(to, { grant, signer: patient, height: 0n, left: grant.uses })
  if (l.meanwhile === undefined) return put(c, l.grant)
  return put(l.meanwhile === 'revoke' ? { ...c, grants: c.grants.filter((s) => !equal(s.grant.id, id)) } : put(c, l.meanwhile), l.grant)
}
