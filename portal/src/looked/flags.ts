/** Why an emergency is looked at sooner, as its reviewers see it: ledger/module/emergency's flags. */
import { decodeAny, encode, hex, type Link } from '../core'
import { hashSchema } from '../core/tx/name'
import { struct, u8 } from '../core/wire/schema'
import { getBytes } from '../app/api'

export const flagNames = ['often', 'again', 'doubted'] as const
export type Flag = (typeof flagNames)[number]

const byCase = struct({ case: [1, hashSchema] })
const flagged = struct({ flags: [1, u8] })

/** How many emergencies are asked about; most logs have none. */
const most = 10

/** flagsIn names the bits of a set; a bit that this page does not know is left out. */
export const flagsIn = (set: number): Flag[] => flagNames.filter((_, i) => (set & (1 << i)) !== 0)

/** Flags are by the id of the emergency, in hex. */
export type Flags = ReadonlyMap<string, readonly Flag[]>

/** emergenciesIn lists the emergencies of a log by their ids, the newest first, no more than are asked about. */
export const emergenciesIn = (links: readonly Link[]): Uint8Array[] => links.filter((l) => l.record.action === 11).reverse().slice(0, most).map((l) => l.record.ref)

/** flagsOf asks for the flags of the emergencies of a verified log. */
export async function flagsOf(links: readonly Link[], signal: AbortSignal): Promise<Flags> {
  const list = await Promise.all(emergenciesIn(links).map(async (id): Promise<[string, Flag[]]> => {
    const answer = await getBytes(`query/emergency/flags?arg=${hex(encode(byCase, { case: id }))}`, signal)
    return [hex(id), flagsIn(decodeAny(flagged, answer, 1 << 10).flags)]
  }))
  return new Map(list)
}
