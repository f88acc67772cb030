/** Finite state entropy: RFC 8878 section 4.1. */
import { type BackwardBits, bitLength, ForwardBits, ZstdError } from './bits.ts'

/** FSE is a decoding table: for each state a symbol, and how the next state follows. */
export interface FSE {
  readonly log: number
  readonly symbol: Uint8Array
  readonly bits: Uint8Array
  readonly base: Uint16Array
}

/** readFSE reads a table description with at most maxSymbol + 1 symbols; it returns the bytes it took. Section 4.1.1. */
export function readFSE(b: Uint8Array, maxLog: number, maxSymbol: number): { table: FSE; size: number } {
  const r = new ForwardBits(b)
  const log = r.read(4) + 5
  if (log > maxLog) throw new ZstdError()
  let remaining = 1 << log
  const probabilities: number[] = []
  while (remaining > 0) {
    if (probabilities.length > maxSymbol) throw new ZstdError()
    const n = bitLength(remaining + 1)
    let v = r.peek(n)
    const low = (1 << (n - 1)) - 1
    const threshold = (1 << n) - 1 - (remaining + 1)
    if ((v & low) < threshold) {
      r.skip(n - 1)
      v &= low
    } else {
      r.skip(n)
      if (v > low) v -= threshold
    }
    const p = v - 1
    remaining -= p < 0 ? 1 : p
    probabilities.push(p)
    if (p === 0) {
      for (let more = 3; more === 3; ) {
        more = r.read(2)
        for (let i = 0; i < more; i++) probabilities.push(0)
      }
    }
  }
  if (remaining !== 0 || probabilities.length > maxSymbol + 1) throw new ZstdError()
  return { table: buildFSE(probabilities, log), size: r.bytes }
}

/** buildFSE spreads symbols over the states; -1 is a probability below one. Section 4.1.1. */
export function buildFSE(probabilities: readonly number[], log: number): FSE {
  const size = 1 << log
  const symbol = new Uint8Array(size)
  const bits = new Uint8Array(size)
  const base = new Uint16Array(size)
  const next = probabilities.map((p) => (p < 0 ? 1 : p))
  let high = size
  probabilities.forEach((p, s) => {
    if (p < 0) symbol[--high] = s
  })
  const step = (size >> 1) + (size >> 3) + 3
  let at = 0
  probabilities.forEach((p, s) => {
    for (let i = 0; i < p; i++) {
      symbol[at] = s
      do at = (at + step) & (size - 1)
      while (at >= high)
    }
  })
  if (at !== 0) throw new ZstdError()
  for (let i = 0; i < size; i++) {
    const s = symbol[i] ?? 0
    const n = next[s] ?? 0
    next[s] = n + 1
    const k = log - (bitLength(n) - 1)
    bits[i] = k
    base[i] = (n << k) - size
  }
  return { log, symbol, bits, base }
}

/** oneSymbol is the table of a run of one symbol: no bits at all. */
export const oneSymbol = (s: number): FSE => ({ log: 0, symbol: new Uint8Array([s]), bits: new Uint8Array(1), base: new Uint16Array(1) })

/** nextState follows a state. */
export const nextState = (t: FSE, state: number, r: BackwardBits): number => (t.base[state] ?? 0) + r.read(t.bits[state] ?? 0)
