/** Emergencies as the ledger holds them, asked for one by one, and what the patient's directive becomes on the ledger. */
import { decodeAny, type Directive, directiveSchema, emergencyCaseSchema, type EmergencyCase, emergencyLabel, encode, equal, grantMasks, hex, type MessageOf, parseAccount, type Random, type SlotMap } from '../core'
import { accountSchema, hashSchema } from '../core/tx/name'
import { struct } from '../core/wire/schema'
import { getBytes } from '../app/api'
import { allLabels, sensitiveLabels } from '../grants/sentence'

const byCase = struct({ case: [1, hashSchema] })
const byPatient = struct({ patient: [1, accountSchema] })
const maxAnswer = 1 << 16

/** emergencyOf asks for one emergency of the patient's. @throws Problem unknown */
export async function emergencyOf(id: Uint8Array, signal?: AbortSignal): Promise<EmergencyCase> {
  const k = decodeAny(emergencyCaseSchema, await getBytes(`query/emergency/case?arg=${hex(encode(byCase, { case: id }))}`, signal), maxAnswer)
  if (!equal(k.id, id)) throw new Error('emergency: another case than the one asked for')
  return k
}

/** directiveOf asks what an emergency may open; version 0: nothing is set. */
export const directiveOf = async (account: string, signal?: AbortSignal): Promise<Directive> =>
  decodeAny(directiveSchema, await getBytes(`query/emergency/directive?arg=${hex(encode(byPatient, { patient: parseAccount(account) }))}`, signal), maxAnswer)

/** emergencySet are the labels of the first step (spec/emergency.md section 1). */
export const emergencySet: readonly string[] = [emergencyLabel, 'administrative', 'allergy', 'condition', 'medication']

/** notesLabel is never opened in an emergency. */
export const notesLabel = 'PSYTHPN'

/** closesSummary: of these only a summary tells in the first step, so who excludes one excludes the summary's own label. */
export const closesSummary = (l: string): boolean => !(sensitiveLabels as readonly string[]).includes(l) && !emergencySet.includes(l)

/** directive makes the masks, as package record's SlotMap.Directive does. @throws SlotError */
export function directive(m: SlotMap, without: readonly string[], random?: Random): Pick<MessageOf<'emergency.directive'>, 'set' | 'more' | 'except'> {
  const never = [notesLabel, ...without.filter((l) => l !== notesLabel)].filter((l) => m.labels.includes(l))
  const open = (ls: readonly string[]) => ls.filter((l) => m.labels.includes(l) && !never.includes(l) && !(l === emergencyLabel && never.some(closesSummary)))
  const first = grantMasks(m, open(emergencySet), never, random)
  const all = grantMasks(m, open([...allLabels, emergencyLabel]), [], random)
  return { set: first.mask, more: all.mask, except: first.except }
}
