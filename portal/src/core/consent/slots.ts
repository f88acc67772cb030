/**
 * The patient's secret map from security labels to slots, and the masks of her
 * grants: spec/consent.md section 1, spec/record.md section 4, package record's
 * SlotMap. The map itself is a record of hers.
 */
import { u64 as be64 } from '../wire/bytes.ts'
import { bytes, decodeAny, encode, type Infer, list, struct, text } from '../wire/schema.ts'
import { H } from '../seal/hash.ts'
import { bitCount } from '../tx/check.ts'
import { exceptBits, maskBits } from '../tx/consent.ts'

export const slotMapSchema = struct({ labels: [1, list(text)], slots: [2, bytes] })
/** SlotMap: byte i of slots, 0 to 63, is the slot of labels[i]. */
export type SlotMap = Infer<typeof slotMapSchema>

/** stewardLabel is the label of the map itself: no grant contains its slot. */
export const stewardLabel = 'steward'

/** emergencyLabel is the slot of a record written for emergencies: no ordinary grant contains it. */
export const emergencyLabel = 'emergency'

/** slotMapType is the type of the record that holds the map. */
export const slotMapType = 'x-salus-slots'

/** SlotError: a map that is damaged, or labels that a mask cannot hold. */
export class SlotError extends Error {
  constructor(sentence: string) {
    super(sentence)
    this.name = 'SlotError'
  }
}

/** Random fills n bytes; the default asks the browser. */
export type Random = (n: number) => Uint8Array

const system: Random = (n) => crypto.getRandomValues(new Uint8Array(n))

/** openSlotMap reads the canonical bytes of a map. @throws SlotError, Refusal */
export function openSlotMap(b: Uint8Array): SlotMap {
  const m = decodeAny(slotMapSchema, b, 1 << 16)
  const distinct = new Set(m.slots).size === m.slots.length && new Set(m.labels).size === m.labels.length
  const sound = m.labels.length === m.slots.length && m.slots.length > 0 && m.slots.length <= 64 - maskBits && m.slots.every((s) => s < 64) && !m.labels.includes('')
  if (!distinct || !sound) throw new SlotError('consent: the slot map is damaged')
  return m
}

const bit = (slot: number): bigint => 1n << BigInt(slot)

/** maskOf gives the slots of labels. @throws SlotError for a label without a slot */
export function maskOf(m: SlotMap, labels: readonly string[]): bigint {
  let mask = 0n
  for (const l of labels) {
    const s = m.slots[m.labels.indexOf(l)]
    if (s === undefined) throw new SlotError('consent: a label has no slot in this map')
    mask |= bit(s)
  }
  return mask
}

/** labelsIn gives the labels whose slots a mask contains: what a grant allows, or what it denies. */
export const labelsIn = (m: SlotMap, mask: bigint): string[] => m.labels.filter((_, i) => (mask & bit(m.slots[i] ?? 0)) !== 0n)

/**
 * grantMasks gives the two masks of a grant that allows and denies these labels,
 * filled up with dummy slots to their constant numbers of bits. The dummies come
 * in an order of the patient's own, with a few exchanged at random each time.
 * @throws SlotError
 */
export function grantMasks(m: SlotMap, allowed: readonly string[], denied: readonly string[], random: Random = system): { mask: bigint; except: bigint } {
  if (allowed.includes(stewardLabel)) throw new SlotError('consent: the slot map itself is never granted')
  const mask = maskOf(m, allowed)
  const except = maskOf(m, denied)
  const d = dummies(m)
  for (let k = Math.max(1, exchanged - bitCount(except)); k > 0; k--) {
    const i = below(random, d.length)
    const j = below(random, d.length)
    ;[d[i], d[j]] = [d[j] ?? 0, d[i] ?? 0]
  }
  return { mask: fill(mask, d, maskBits), except: fill(except, d.reverse(), exceptBits) }
}

/** Pairs of dummies that change places in a grant that denies nothing; a denied label takes the place of one. */
const exchanged = 6

/** dummies are the slots that stand for no label, in this patient's own order. */
function dummies(m: SlotMap): number[] {
  const real = new Set(m.slots)
  return permutation(stream(H('dummies', encode(slotMapSchema, m))), 64).filter((s) => !real.has(s))
}

/** stream expands a secret seed: the hashes of seed and counter. */
function stream(seed: Uint8Array): Random {
  let count = 0n
  let rest = new Uint8Array(0)
  return (n) => {
    const out = new Uint8Array(n)
    for (let at = 0; at < n; ) {
      if (rest.length === 0) rest = Uint8Array.from(H('stream', seed, be64(count++)))
      const part = rest.slice(0, n - at)
      out.set(part, at)
      at += part.length
      rest = rest.slice(part.length)
    }
    return out
  }
}

function fill(mask: bigint, order: readonly number[], n: number): bigint {
  for (const d of order) {
    if (bitCount(mask) >= n) break
    mask |= bit(d)
  }
  if (bitCount(mask) !== n) throw new SlotError('consent: a mask cannot hold these labels')
  return mask
}

/** permutation gives 0 to n - 1 in random order (Fisher-Yates with rejection sampling). */
function permutation(random: Random, n: number): number[] {
  const out = Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = below(random, i + 1)
    ;[out[i], out[j]] = [out[j] ?? 0, out[i] ?? 0]
  }
  return out
}

function below(random: Random, n: number): number {
  const limit = 0xffffffff - (2 ** 32 % n)
  for (;;) {
    const b = random(4)
    const v = new DataView(b.buffer, b.byteOffset).getUint32(0)
    if (v <= limit) return v % n
  }
}
