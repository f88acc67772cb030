import { compare, type Grant, type MessageOf } from '../core/index.ts'
import type { Later } from './cooling.ts'

/** Change is what a patient signs to give a consent: one transaction, so that all of it holds or nothing. */
export type Change = MessageOf<'consent.change'>

const all = new Uint8Array(16)

/**
 * changeOf gives a grant and what holds until then. Instead of the one of an id, if nothing of that stays; instead of all
 * there are, if nobody else may look.
 */
export function changeOf(patient: Uint8Array, later: Later, nobodyElse: boolean, instead: Uint8Array | undefined): Change {
  const give = [later.grant, ...(typeof later.meanwhile === 'object' ? [later.meanwhile] : [])].sort((a: Grant, b: Grant) => compare(a.id, b.id))
  const revoke = nobodyElse ? [all] : later.meanwhile === 'revoke' && instead !== undefined ? [instead] : []
  return { patient, revoke, give }
}
