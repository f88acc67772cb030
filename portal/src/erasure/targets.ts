/** What has to be erased so that nothing tells of a record any more. */
import { hex } from '../core'
import type { Item, Target } from '../record/model/item.ts'

/**
 * targetsIn lists what the requests for one record name, each once: its versions, the oldest first, and the
 * index records that tell of them. An earlier version that stayed would stand in the record as the one that holds.
 */
export function targetsIn(item: Item): Target[] {
  const all = [...item.older, item.source].map((s) => s.targets ?? [])
  const seen = new Map<string, Target>()
  for (const x of [...all.map((of) => of.slice(0, 1)), ...all.map((of) => of.slice(1))].flat()) {
    const name = hex(x.leaf)
    if (!seen.has(name)) seen.set(name, x)
  }
  return [...seen.values()]
}
