/**
 * Canonical CBOR: RFC 8949 section 4.2.1 as narrowed by spec/tx.md section 1.
 * Reading takes two steps: parse takes any well-formed value that has no tag,
 * float, null or indefinite length; a schema (schema.ts) gives it a shape and
 * compares its own encoding with the input, which refuses every other form.
 */
import { fromUtf8, hex, utf8 } from './bytes.ts'
import { Refusal } from './refusal.ts'

/** A Node is a parsed CBOR value. Integers are bigint: they go up to 2^64 - 1. */
export type Node = bigint | Uint8Array | string | boolean | Node[] | NodeMap

/** A NodeMap keeps the pairs of a map in their order. */
export class NodeMap {
  readonly pairs: readonly (readonly [Node, Node])[]
  constructor(pairs: readonly (readonly [Node, Node])[]) {
    this.pairs = pairs
  }
}

/** Limits of reading: spec/tx.md section 1, rule 2. */
export interface Limits {
  /** elements of one array */
  readonly elements: number
}

const maxDepth = 16
const maxPairs = 4096

export const malformed = (): Refusal => new Refusal(0x0001, 'tx: not CBOR of the expected shape')
export const notCanonical = (): Refusal => new Refusal(0x0002, 'tx: the encoding is not the canonical one')
export const tooLarge = (): Refusal => new Refusal(0x0003, 'tx: larger than allowed')

/**
 * parse reads one value that takes all of the input. Longer forms of integers
 * and keys in another order pass: the comparison of the schema refuses those.
 * @throws Refusal malformed
 */
export function parse(b: Uint8Array, limits: Limits): Node {
  const r = new Reader(b, limits)
  const v = r.value(0)
  if (r.at !== b.length) throw malformed()
  return v
}

/** parsePrefix reads the value at the front of b and ignores what follows. @throws Refusal malformed */
export const parsePrefix = (b: Uint8Array, limits: Limits): Node => new Reader(b, limits).value(0)

class Reader {
  at = 0
  private readonly b: Uint8Array
  private readonly limits: Limits

  constructor(b: Uint8Array, limits: Limits) {
    this.b = b
    this.limits = limits
  }

  private take(n: number): Uint8Array {
    if (n > this.b.length - this.at) throw malformed()
    this.at += n
    return this.b.subarray(this.at - n, this.at)
  }

  /** The argument of a head: RFC 8949 section 3. Indefinite lengths are refused. */
  private argument(info: number): bigint {
    if (info < 24) return BigInt(info)
    if (info > 27) throw malformed()
    let v = 0n
    for (const x of this.take(1 << (info - 24))) v = (v << 8n) | BigInt(x)
    return v
  }

  private length(info: number): number {
    const n = this.argument(info)
    if (n > BigInt(this.b.length)) throw malformed()
    return Number(n)
  }

  value(depth: number): Node {
    const head = this.take(1)[0] ?? 0
    const info = head & 31
    switch (head >>> 5) {
      case 0:
        return this.argument(info)
      case 1:
        return -1n - this.argument(info)
      case 2:
        return this.take(this.length(info)).slice()
      case 3: {
        const s = fromUtf8(this.take(this.length(info)))
        if (s === undefined) throw malformed()
        return s
      }
      case 4:
        return this.array(this.length(info), depth + 1)
      case 5:
        return this.map(this.length(info), depth + 1)
      case 7:
        if (info === 20 || info === 21) return info === 21
        throw malformed()
      default:
        throw malformed()
    }
  }

  private array(n: number, depth: number): Node[] {
    if (depth > maxDepth || n > this.limits.elements) throw malformed()
    const out: Node[] = []
    for (let i = 0; i < n; i++) out.push(this.value(depth))
    return out
  }

  private map(n: number, depth: number): NodeMap {
    if (depth > maxDepth || n > maxPairs) throw malformed()
    const pairs: [Node, Node][] = []
    const seen = new Set<bigint | string>()
    for (let i = 0; i < n; i++) {
      const key = this.value(depth)
      const name = typeof key === 'bigint' ? key : hex(encode(key))
      if (seen.has(name)) throw malformed()
      seen.add(name)
      pairs.push([key, this.value(depth)])
    }
    return new NodeMap(pairs)
  }
}

/** A Writer grows as it is written to. */
class Writer {
  private b = new Uint8Array(256)
  private at = 0

  private room(n: number): void {
    if (this.at + n <= this.b.length) return
    const b = new Uint8Array(Math.max(2 * this.b.length, this.at + n))
    b.set(this.b.subarray(0, this.at))
    this.b = b
  }

  /** head writes the shortest head of a major type with its argument: RFC 8949 section 4.2.1. */
  head(major: number, n: bigint | number): void {
    this.room(9)
    const m = major << 5
    if (n < 24) {
      this.b[this.at++] = m | Number(n)
      return
    }
    const size = n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x100000000 ? 4 : 8
    this.b[this.at++] = m | (size === 1 ? 24 : size === 2 ? 25 : size === 4 ? 26 : 27)
    const v = new DataView(this.b.buffer, this.at)
    if (size === 8) v.setBigUint64(0, BigInt(n))
    else if (size === 4) v.setUint32(0, Number(n))
    else if (size === 2) v.setUint16(0, Number(n))
    else v.setUint8(0, Number(n))
    this.at += size
  }

  bytes(b: Uint8Array): void {
    this.room(b.length)
    this.b.set(b, this.at)
    this.at += b.length
  }

  value(v: Node): void {
    if (typeof v === 'bigint') {
      if (v < 0n) this.head(1, -1n - v)
      else this.head(0, v)
    } else if (typeof v === 'boolean') this.head(7, v ? 21 : 20)
    else if (typeof v === 'string') {
      const b = utf8(v)
      this.head(3, b.length)
      this.bytes(b)
    } else if (v instanceof Uint8Array) {
      this.head(2, v.length)
      this.bytes(v)
    } else if (v instanceof NodeMap) {
      this.head(5, v.pairs.length)
      for (const [k, x] of v.pairs) {
        this.value(k)
        this.value(x)
      }
    } else {
      this.head(4, v.length)
      for (const x of v) this.value(x)
    }
  }

  done(): Uint8Array {
    return this.b.slice(0, this.at)
  }
}

/** encode writes the canonical form. Keys of a map are in the order given: a schema's are ascending. */
export function encode(v: Node): Uint8Array {
  const w = new Writer()
  w.value(v)
  return w.done()
}
