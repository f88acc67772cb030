/** Huffman coding of literals: RFC 8878 section 4.2. */
import { BackwardBits, bitLength, ZstdError } from './bits.ts'
import { nextState, readFSE } from './fse.ts'

/** Huffman is a decoding table over max bits. */
export interface Huffman {
  readonly max: number
  readonly symbol: Uint8Array
  readonly bits: Uint8Array
}

const maxBits = 11

/** readHuffman reads a tree description; it returns the bytes it took. Section 4.2.1. */
export function readHuffman(b: Uint8Array): { table: Huffman; size: number } {
  const head = b[0]
  if (head === undefined) throw new ZstdError()
  if (head >= 128) {
    const n = head - 127
    const size = 1 + ((n + 1) >> 1)
    if (size > b.length) throw new ZstdError()
    const weights: number[] = []
    for (let i = 0; i < n; i++) {
      const v = b[1 + (i >> 1)] ?? 0
      weights.push(i % 2 === 0 ? v >> 4 : v & 15)
    }
    return { table: buildHuffman(weights), size }
  }
  if (1 + head > b.length) throw new ZstdError()
  return { table: buildHuffman(compressedWeights(b.subarray(1, 1 + head))), size: 1 + head }
}

/** Two interleaved states, until the bits are used up. Section 4.2.1.2. */
function compressedWeights(b: Uint8Array): number[] {
  const { table, size } = readFSE(b, 6, 255)
  const r = new BackwardBits(b.subarray(size))
  let one = r.read(table.log)
  let two = r.read(table.log)
  if (r.left < 0) throw new ZstdError()
  const out: number[] = []
  for (;;) {
    out.push(table.symbol[one] ?? 0)
    one = nextState(table, one, r)
    if (r.left < 0) {
      out.push(table.symbol[two] ?? 0)
      break
    }
    ;[one, two] = [two, one]
    if (out.length > 255) throw new ZstdError()
  }
  return out
}

/** The last weight is left out: it fills up to a power of two. Section 4.2.1.3. */
function buildHuffman(weights: number[]): Huffman {
  let sum = 0
  for (const w of weights) {
    if (w > maxBits) throw new ZstdError()
    if (w > 0) sum += 1 << (w - 1)
  }
  if (sum === 0 || weights.length > 255) throw new ZstdError()
  const max = bitLength(sum)
  const rest = (1 << max) - sum
  if (max > maxBits || (rest & (rest - 1)) !== 0) throw new ZstdError()
  const all = [...weights, bitLength(rest)]
  const symbol = new Uint8Array(1 << max)
  const bits = new Uint8Array(1 << max)
  let at = 0
  // Codes of lower weight, that is of more bits, come first; among equals the symbols in order.
  for (let w = 1; w <= max; w++) {
    all.forEach((x, s) => {
      if (x !== w) return
      const n = 1 << (w - 1)
      symbol.fill(s, at, at + n)
      bits.fill(max + 1 - w, at, at + n)
      at += n
    })
  }
  if (at !== 1 << max) throw new ZstdError()
  return { max, symbol, bits }
}

/** decodeHuffman fills out from one stream, which must end with it. Section 4.2.2. */
export function decodeHuffman(t: Huffman, b: Uint8Array, out: Uint8Array): void {
  const r = new BackwardBits(b)
  const mask = (1 << t.max) - 1
  let state = r.read(t.max)
  for (let i = 0; i < out.length; i++) {
    out[i] = t.symbol[state] ?? 0
    const n = t.bits[state] ?? 0
    state = ((state << n) & mask) | r.read(n)
  }
  if (r.left !== -t.max) throw new ZstdError()
}
