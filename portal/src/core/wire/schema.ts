/**
 * Schemas of messages: one description gives the TypeScript type, the encoder
 * and the decoder, so that what is encoded is what is decoded. The rules are
 * those of spec/tx.md section 1.
 */
import { equal, isZero } from './bytes.ts'
import { encode as encodeNode, malformed, type Node, NodeMap, notCanonical, parse, tooLarge } from './cbor.ts'

/** A Schema describes the values of type T. */
export interface Schema<T> {
  /** node gives the value's CBOR. @throws TypeError for what T does not allow */
  node(v: T): Node
  /** read takes a parsed value as far as its shape goes. @throws Refusal malformed */
  read(n: Node): T
  /** zero is the value of a field that is missing. */
  zero(): T
  /** empty says that the value is the one that an optional field leaves out. */
  empty(v: T): boolean
}

/** Infer is the type that a schema describes. */
export type Infer<S> = S extends Schema<infer T> ? T : never

const max64 = (1n << 64n) - 1n

/** u64 is an unsigned integer up to 2^64 - 1. */
export const u64: Schema<bigint> = {
  node(v) {
    if (v < 0n || v > max64) throw new TypeError('wire: number out of range')
    return v
  },
  read(n) {
    if (typeof n !== 'bigint' || n < 0n) throw malformed()
    return n
  },
  zero: () => 0n,
  empty: (v) => v === 0n,
}

function small(max: number): Schema<number> {
  return {
    node(v) {
      if (!Number.isInteger(v) || v < 0 || v > max) throw new TypeError('wire: number out of range')
      return BigInt(v)
    },
    read(n) {
      if (typeof n !== 'bigint' || n < 0n || n > BigInt(max)) throw malformed()
      return Number(n)
    },
    zero: () => 0,
    empty: (v) => v === 0,
  }
}

/** u8, u16 and u32 are unsigned integers of that many bits. */
export const u8 = small(0xff)
export const u16 = small(0xffff)
export const u32 = small(0xffffffff)

/** bool is true or false. */
export const bool: Schema<boolean> = {
  node: (v) => v,
  read(n) {
    if (typeof n !== 'boolean') throw malformed()
    return n
  },
  zero: () => false,
  empty: (v) => !v,
}

/** text is a string of valid UTF-8. */
export const text: Schema<string> = {
  node(v) {
    // A lone surrogate has no UTF-8: it would be encoded as another string.
    if (!isWellFormed(v)) throw new TypeError('wire: not a Unicode string')
    return v
  },
  read(n) {
    if (typeof n !== 'string') throw malformed()
    return n
  },
  zero: () => '',
  empty: (v) => v === '',
}

function isWellFormed(s: string): boolean {
  for (const c of s) {
    const p = c.codePointAt(0) ?? 0
    if (p >= 0xd800 && p <= 0xdfff) return false
  }
  return true
}

/** Bytes in an array of small integers are not canonical, but they have a reading. */
function readBytes(n: Node): Uint8Array {
  if (n instanceof Uint8Array) return n
  if (!Array.isArray(n)) throw malformed()
  return Uint8Array.from(n, (v) => {
    if (typeof v !== 'bigint' || v < 0n || v > 255n) throw malformed()
    return Number(v)
  })
}

/** bytes is a byte string of any length. */
export const bytes: Schema<Uint8Array> = {
  node: (v) => v,
  read: readBytes,
  zero: () => new Uint8Array(0),
  empty: (v) => v.length === 0,
}

/** fixed is a byte string of exactly n bytes; another length is read as one of n, so that the comparison refuses it. */
export function fixed(n: number): Schema<Uint8Array> {
  return {
    node(v) {
      if (v.length !== n) throw new TypeError('wire: byte string of another length')
      return v
    },
    read(v) {
      const b = readBytes(v)
      if (b.length === n) return b
      const out = new Uint8Array(n)
      out.set(b.subarray(0, n))
      return out
    },
    zero: () => new Uint8Array(n),
    empty: isZero,
  }
}

/** list is an array of any number of elements. */
export function list<T>(of: Schema<T>): Schema<T[]> {
  return {
    node: (v) => v.map((x) => of.node(x)),
    read(n) {
      if (Array.isArray(n)) return n.map((x) => of.read(x))
      throw malformed()
    },
    zero: () => [],
    empty: (v) => v.length === 0,
  }
}

/** maybe is a value that can be absent: undefined. */
export function maybe<T>(of: Schema<T>): Schema<T | undefined> {
  return {
    node(v) {
      if (v === undefined) throw new TypeError('wire: an absent value is left out')
      return of.node(v)
    },
    read: (n) => of.read(n),
    zero: () => undefined,
    empty: (v) => v === undefined,
  }
}

/** A Field is a place in a map: optional fields are absent exactly when they are empty. */
export interface Field<T> {
  readonly of: Schema<T>
  readonly optional: boolean
}

/** opt marks a field that is left out when it is empty. */
export const opt = <T>(of: Schema<T>): Field<T> => ({ of, optional: true })

type Spec = Record<string, readonly [number, Schema<unknown> | Field<unknown>]>
type ValueOf<E> = E extends readonly [number, infer F] ? (F extends Field<infer T> ? T : F extends Schema<infer T> ? T : never) : never
type Struct<S> = { -readonly [K in keyof S]: ValueOf<S[K]> }

interface Place {
  readonly name: string
  readonly key: bigint
  readonly of: Schema<unknown>
  readonly optional: boolean
}

/** struct is a map with integer keys: {name: [key, schema]}, the keys ascending. */
export function struct<const S extends { [K in keyof S]: readonly [number, Schema<unknown> | Field<unknown>] }>(spec: S): Schema<Struct<S>> {
  const places = Object.entries(spec as unknown as Spec).map(([name, [key, f]]): Place => {
    const field = 'of' in f ? f : { of: f, optional: false }
    return { name, key: BigInt(key), of: field.of as unknown as Schema<unknown>, optional: field.optional }
  })
  const byKey = new Map(places.map((p) => [p.key, p]))
  return {
    node(v) {
      const pairs: [Node, Node][] = []
      for (const p of places) {
        const x = (v as Record<string, unknown>)[p.name]
        if (p.optional && p.of.empty(x)) continue
        pairs.push([p.key, p.of.node(x)])
      }
      return new NodeMap(pairs)
    },
    read(n) {
      if (!(n instanceof NodeMap)) throw malformed()
      const out: Record<string, unknown> = {}
      for (const p of places) out[p.name] = p.of.zero()
      for (const [k, v] of n.pairs) {
        const p = typeof k === 'bigint' ? byKey.get(k) : undefined
        if (p === undefined) throw malformed()
        out[p.name] = p.of.read(v)
      }
      return out as Struct<S>
    },
    zero() {
      return Object.fromEntries(places.map((p) => [p.name, p.of.zero()])) as Struct<S>
    },
    empty: () => false,
  }
}

/** maxTx is the size of a transaction, and of anything decode takes without another limit. */
export const maxTx = 65536

/** encode gives the canonical encoding. @throws TypeError for a value that the schema does not allow */
export const encode = <T>(s: Schema<T>, v: T): Uint8Array => encodeNode(s.node(v))

/**
 * decode reads the canonical encoding of at most max bytes, and no other. The
 * default limits are those of a transaction.
 * @throws Refusal too-large, malformed, not-canonical, in this order
 */
export function decode<T>(s: Schema<T>, b: Uint8Array, max: number = maxTx): T {
  return decodeWith(s, b, max, max === maxTx ? 4096 : 1 << 17)
}

/** decodeAny is decode with the larger limits of what is not a transaction: messages, rows, proofs. */
export const decodeAny = <T>(s: Schema<T>, b: Uint8Array, max: number): T => decodeWith(s, b, max, 1 << 17)

function decodeWith<T>(s: Schema<T>, b: Uint8Array, max: number, elements: number): T {
  if (b.length > max) throw tooLarge()
  const v = s.read(parse(b, { elements }))
  if (!equal(encode(s, v), b)) throw notCanonical()
  return v
}
