/**
 * The trust root of this browser: the network's genesis, as it was seen first.
 * The genesis comes from the same node as the page, so it is shown, remembered
 * and compared: with what was remembered, and by the person with paper. What is
 * kept are public facts of the chain.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { codeOf, equal, ForkError, hex, LightClient } from '../core'
import { type Keeper, type Light, lightName } from '../looked/keep'

/** Since is when the genesis was first seen here, in unix seconds. */
interface Since {
  readonly genesis: Uint8Array
  readonly time: number
}
const sinceName = 'pinned'

/** digits of a fingerprint: 128 bits, which nobody can hit a second time */
export const fingerprintLength = 32

/**
 * fingerprint is the first 16 bytes of the SHA-256 of the genesis file, in groups of four
 * digits. `salus node genesis` prints the same.
 */
export const fingerprint = (genesis: Uint8Array): string => grouped(sha256(genesis))
const grouped = (digest: Uint8Array): string => hex(digest.subarray(0, fingerprintLength / 2)).replace(/(.{4})(?=.)/g, '$1 ')

/** Compared is how a typed fingerprint stands to one. */
export type Compared = 'empty' | 'short' | 'letter' | 'same' | 'other'
const bare = (s: string): string => s.toLowerCase().replace(/[\s:\-–—]/g, '')

/** compareFingerprints compares what was typed from paper with a fingerprint; count is how many digits there are. */
export function compareFingerprints(typed: string, shown: string): { readonly is: Compared; readonly count: number } {
  const s = bare(typed)
  const count = s.length
  if (count === 0) return { is: 'empty', count }
  if (/[^0-9a-f]/.test(s)) return { is: 'letter', count }
  if (count < fingerprintLength) return { is: 'short', count }
  return { is: s === bare(shown) ? 'same' : 'other', count }
}

/** Root is what this browser thinks of the genesis that a portal shows. */
export type Root =
  | { readonly ok: true; readonly first: boolean; readonly chain: string; readonly shown: string; readonly since: number; readonly genesis: Uint8Array }
  | { readonly ok: false; readonly fault: 'changed' | 'chain' | 'unreadable'; readonly shown: string; readonly remembered?: string; readonly since: number }

/** meet compares a portal's genesis with the remembered one, or remembers it. chain is what the portal says of itself; now is in unix seconds. */
export async function meet(genesis: Uint8Array, chain: string, keep: Keeper, now: number): Promise<Root> {
  const shown = fingerprint(genesis)
  const name = sha256(genesis)
  const light = await keep.get<Light>(lightName)
  const known = await keep.get<Since>(sinceName)
  const pinned = light?.genesis ?? known?.genesis
  const since = known?.time ?? now
  if (pinned !== undefined && !equal(pinned, name)) return { ok: false, fault: 'changed', shown, remembered: grouped(pinned), since }
  let client: LightClient
  try {
    client = new LightClient(genesis)
  } catch {
    return { ok: false, fault: 'unreadable', shown, since }
  }
  if (client.chain !== chain) return { ok: false, fault: 'chain', shown, since }
  if (light === undefined) await keep.put(lightName, { genesis: name, saved: client.save() } satisfies Light)
  if (known === undefined) await keep.put(sinceName, { genesis: name, time: now } satisfies Since)
  return { ok: true, first: pinned === undefined, chain: client.chain, shown, since, genesis }
}

/** Source is where blocks come from: the height that the portal says it has, and signed headers in the encoding of receipts. */
export interface Source {
  height(): Promise<bigint>
  header(height: bigint): Promise<Uint8Array>
}

/** Followed is how far this browser verified the chain. */
export type Followed =
  | { readonly ok: true; readonly height: bigint; readonly time: bigint; readonly signed: number; readonly of: number }
  | { readonly ok: false; readonly fault: 'restore' | 'commit' | 'fork' | 'format' | 'behind'; readonly height: bigint }

/**
 * followHead goes on from where this browser was at its last visit to the newest
 * signed block, and remembers it. What was remembered is not trusted as such: it
 * must follow from the genesis once more, over the block of its height.
 * @throws what source throws
 */
export async function followHead(genesis: Uint8Array, source: Source, keep: Keeper): Promise<Followed> {
  const saved = (await keep.get<Light>(lightName))?.saved
  const newest = await source.height()
  const client = new LightClient(genesis)
  const fetched = source.header.bind(source)
  let away: unknown
  const header = async (h: bigint) => {
    try {
      return await fetched(h)
    } catch (err) {
      away = err
      throw err
    }
  }
  try {
    if (saved !== undefined && !equal(saved, client.save())) {
      const before = restored(genesis, saved)
      if (before === undefined) return { ok: false, fault: 'restore', height: 0n }
      if (before > newest) return { ok: false, fault: 'behind', height: before }
      await client.advance(before, header)
      if (!equal(client.save(), saved)) return { ok: false, fault: 'restore', height: before }
    }
    const head = await client.advance(newest, header)
    if (head === undefined) return { ok: false, fault: 'behind', height: client.height }
    await keep.put(lightName, { genesis: sha256(genesis), saved: client.save() } satisfies Light)
    return { ok: true, height: head.height, time: head.time, signed: head.about.signed, of: head.about.of }
  } catch (err) {
    if (away !== undefined) throw away
    return { ok: false, fault: err instanceof ForkError ? 'fork' : codeOf(err) === 0x2503 ? 'commit' : 'format', height: client.height }
  }
}

/** restored is the height of what was saved, if it is of this genesis at all. */
function restored(genesis: Uint8Array, saved: Uint8Array): bigint | undefined {
  try {
    return LightClient.restore(genesis, saved).height
  } catch {
    return undefined
  }
}

/** age says how long ago a time was, in the largest unit that fits. */
export function age(seconds: number): { readonly unit: 'seconds' | 'minutes' | 'hours' | 'days'; readonly n: number } {
  const s = Math.max(0, Math.floor(seconds))
  if (s < 120) return { unit: 'seconds', n: s }
  if (s < 7200) return { unit: 'minutes', n: Math.floor(s / 60) }
  if (s < 172_800) return { unit: 'hours', n: Math.floor(s / 3600) }
  return { unit: 'days', n: Math.floor(s / 86_400) }
}
