/**
 * The patient's own slot map and what she has, without opening anything else:
 * a session for her own request, the list of what custodians name, and the one
 * record that holds the map. spec/record.md section 4.
 */
import { bitCount, kindRecord, type Located, openSlotMap, type SlotMap, TooFew } from '../core'
import { loadDictionary } from '../core/dictionary'
import { type About, Problem } from '../app/api'
import type { Step } from '../app/sign'
import type { Sittings } from '../app/sitting'
import { custodians } from '../record/load'

/** Own is her map, and the slots of each of her records. */
export interface Own {
  readonly slots: SlotMap
  readonly entries: readonly bigint[]
}

/** How many records may be opened in search of the map. */
const tries = 64

/**
 * candidates are the records that could be the map: it lies in one slot, which no
 * other record lies in.
 */
export function candidates(located: readonly Located[]): Located[] {
  const one = located.filter((l) => l.entry.kind === kindRecord && bitCount(l.entry.slots) === 1)
  const sharing = (l: Located) => one.filter((o) => o.entry.slots === l.entry.slots).length
  return one.filter((l) => sharing(l) === 1).slice(0, tries)
}

/** openOwn reads her map; undefined when no organisation has drawn one for her yet. @throws Problem, Refusal, TooFew */
export async function openOwn(about: About, account: string, sittings: Sittings, step: (s: Step | 'locate') => void, signal: AbortSignal): Promise<Own | undefined> {
  try {
    return await sittings.read(about, account, custodians, await loadDictionary(), (s) => step(s === 'list' ? 'sent' : s), signal, async (reader): Promise<Own | undefined> => {
      step('locate')
      const located = await reader.locate(signal)
      const likely = candidates(located)
      if (likely.length === 0) return undefined
      const { records } = await reader.read(likely, undefined, signal)
      step('locate')
      for (const r of records) {
        const slots = r.body === undefined ? undefined : mapIn(r.body)
        if (slots !== undefined) return { slots, entries: located.filter((l) => l.entry.kind === kindRecord).map((l) => l.entry.slots) }
      }
      return undefined
    }, (own) => own === undefined)
  } catch (err) {
    if (err instanceof TooFew) throw new Problem('unreachable', err.message)
    throw err
  }
}

function mapIn(body: Uint8Array): SlotMap | undefined {
  try {
    return openSlotMap(body)
  } catch {
    return undefined
  }
}
