import type { Block } from '../app/api'

/** paceOf is the median time in seconds from a block's predecessor to it, of blocks with transactions whose predecessor is listed too; undefined for none. */
export function paceOf(blocks: readonly Block[]): { readonly median: number; readonly count: number } | undefined {
  const times = new Map(blocks.map((b) => [b.height, Date.parse(b.time)]))
  const waits: number[] = []
  for (const b of blocks) {
    const before = times.get(b.height - 1)
    if (b.txs > 0 && before !== undefined) waits.push((Date.parse(b.time) - before) / 1000)
  }
  if (waits.length === 0) return undefined
  waits.sort((a, b) => a - b)
  return { median: waits[Math.floor((waits.length - 1) / 2)] ?? 0, count: waits.length }
}
