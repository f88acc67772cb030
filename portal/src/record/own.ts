/**
 * What the organisation of this portal itself wrote about her, while the ledger stands still and no
 * session can be opened. It comes from that organisation's own store, on its word: no custodian and
 * no proof stands behind it, and nothing of anybody else is in it.
 */
import { type About, getBytes, getJSON, type Member, Problem } from '../app/api'
import type { Loaded } from './load'
import { isMap } from './load'
import type { Source } from './model/item.ts'

interface Head {
  readonly id: string
  /** of the block that anchored it; 0 while it waits for the ledger */
  readonly time: number
  readonly index: number
}

/** written takes an answer of GET own apart: a header as JSON and a body, each behind its length. @throws Problem answer */
export function written(raw: Uint8Array, author: string): Source[] {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  let at = 0
  const part = (): Uint8Array => {
    const size = at + 4 > raw.length ? raw.length : view.getUint32(at)
    if (at + 4 + size > raw.length) throw new Problem('answer', 'portal: the answer is cut off')
    at += 4 + size
    return raw.subarray(at - size, at)
  }
  const out: Source[] = []
  while (at < raw.length) {
    const head = JSON.parse(new TextDecoder().decode(part())) as Head
    const body = part()
    // What waits is later than everything that the ledger has.
    if (!isMap(body)) out.push({ key: head.id, author, time: head.time, log: head.time === 0 ? Number.MAX_SAFE_INTEGER : head.index, body })
  }
  return out
}

/** loadOwn reads it. @throws Problem "goes-on" when the ledger goes on again */
export async function loadOwn(about: About, cancel: AbortSignal): Promise<Loaded> {
  const [raw, members] = await Promise.all([getBytes('own', cancel), getJSON<Member[]>('members', cancel)])
  return { sources: written(raw, about.member), names: new Map(members.map((m) => [m.account, m.name])), bad: [], height: 0n, partial: true }
}
