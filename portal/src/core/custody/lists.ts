/** What is asked together, and in what order it comes back. */
import { hex } from '../wire/bytes.ts'
import type { Located } from './locate.ts'
import { heldBy, itemName, type LocatedBatch, maxList } from './message.ts'
import type { Opened } from './release.ts'

/** together makes lists of at most maxList records of one epoch: shares of two epochs never meet. */
export function together(records: readonly Located[]): Located[][] {
  const by = new Map<bigint, Located[]>()
  for (const l of records) by.set(heldBy(l.anchored), [...(by.get(heldBy(l.anchored)) ?? []), l])
  return [...by].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, of]) => [...inPieces(of, maxList)]).map((of) => [...of])
}

/** inOrder gives what was opened in the order in which it was asked for. */
export function inOrder(records: readonly Located[], opened: readonly Opened[]): Opened[] {
  const at = new Map(records.map((l, i) => [itemName(l.item), i]))
  return [...opened].sort((a, b) => (at.get(itemName(a.located.item)) ?? 0) - (at.get(itemName(b.located.item)) ?? 0))
}

/** inPieces cuts a list. */
export function* inPieces<T>(list: readonly T[], size: number): Generator<readonly T[]> {
  for (let i = 0; i < list.length; i += size) yield list.slice(i, i + size)
}

/** namedByMore gives the batches that more than f custodians name: no other one comes to be believed. */
export function namedByMore(answers: readonly ({ value: readonly LocatedBatch[] } | { error: unknown } | undefined)[], f: number): Uint8Array[] {
  const by = new Map<string, { header: Uint8Array; times: number }>()
  for (const a of answers) {
    const named = new Map((a !== undefined && 'value' in a ? a.value : []).map((b) => [hex(b.header), b.header]))
    for (const [name, header] of named) by.set(name, { header, times: (by.get(name)?.times ?? 0) + 1 })
  }
  return [...by.values()].filter((x) => x.times > f).map((x) => x.header)
}
