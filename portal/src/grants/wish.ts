/** A grant in the patient's words, and what it becomes on the ledger: package record's Wish. */
import { type Grant, type Grantee, grantMasks, labelsIn, type Random, type SlotMap } from '../core'
import { grantable } from './sentence'

/** Wish is what the form holds. allowed is undefined where the map is closed: then the masks stay as they are. */
export interface Wish {
  readonly grantee: Grantee
  readonly purposes: bigint
  /** unix seconds; 0 for none */
  readonly notBefore: bigint
  readonly notAfter: bigint
  readonly uses: number
  readonly allowed: readonly string[] | undefined
  /** what nobody of the same grantee may be given by another grant either */
  readonly denied: readonly string[]
}

/** grantOf makes the grant: a new one, or the next version of one. @throws SlotError; Refusal comes from prepare */
export function grantOf(w: Wish, m: SlotMap | undefined, before: Grant | undefined, random?: Random): Grant {
  const bytes = random ?? ((n: number) => crypto.getRandomValues(new Uint8Array(n)))
  const masks = w.allowed === undefined || m === undefined
    ? { mask: before?.mask ?? 0n, except: before?.except ?? 0n }
    : grantMasks(m, w.allowed.filter((l) => !w.denied.includes(l)), w.denied, bytes)
  return {
    id: before?.id ?? bytes(16), version: (before?.version ?? 0n) + 1n, grantee: w.grantee, ...masks,
    purposes: w.purposes, notBefore: w.notBefore, notAfter: w.notAfter, uses: w.uses,
    recorded: false, document: new Uint8Array(32),
  }
}

/** wishOf is the form of a grant that is to be changed. */
export function wishOf(g: Grant, m: SlotMap | undefined): Wish {
  const own = m === undefined ? undefined : grantable(m)
  const named = (mask: bigint) => (m === undefined || own === undefined ? [] : labelsIn(m, mask).filter((l) => own.includes(l)))
  const denied = named(g.except)
  return {
    grantee: g.grantee, purposes: g.purposes, notBefore: g.notBefore, notAfter: g.notAfter, uses: g.uses,
    allowed: own === undefined ? undefined : named(g.mask).filter((l) => !denied.includes(l)), denied,
  }
}
