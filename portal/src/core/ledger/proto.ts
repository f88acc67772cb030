/**
 * The few parts of Protocol Buffers that blocks and proofs need. Reading is
 * strict: fields in rising order, no unknown field, shortest varints, no
 * default values written out. So what is read has one encoding, which is what
 * spec/receipt.md section 1 and spec/state-tree.md section 4 demand.
 */
import { concat } from '../wire/bytes.ts'

/** ProtoError: the bytes are not the one encoding of such a message. */
export class ProtoError extends Error {
  constructor() {
    super('proto: not the one encoding of such a message')
    this.name = 'ProtoError'
  }
}

/** varint writes an unsigned integer; a negative one as its 64-bit two's complement. */
export function varint(v: bigint | number): Uint8Array {
  let x = BigInt.asUintN(64, BigInt(v))
  const out: number[] = []
  for (; x >= 0x80n; x >>= 7n) out.push(Number(x & 0x7fn) | 0x80)
  out.push(Number(x))
  return new Uint8Array(out)
}

/** uintField writes a varint field, nothing for zero. */
export const uintField = (n: number, v: bigint | number): Uint8Array => (BigInt(v) === 0n ? new Uint8Array(0) : concat(varint(n << 3), varint(v)))

/** bytesField writes a length-delimited field, nothing for empty bytes. */
export const bytesField = (n: number, b: Uint8Array): Uint8Array => (b.length === 0 ? b : messageField(n, b))

/** messageField writes a length-delimited field, also an empty one. */
export const messageField = (n: number, b: Uint8Array): Uint8Array => concat(varint((n << 3) | 2), varint(b.length), b)

/** fixed64Field writes a little-endian 64-bit field, nothing for zero. */
export function fixed64Field(n: number, v: bigint): Uint8Array {
  if (v === 0n) return new Uint8Array(0)
  const b = new Uint8Array(8)
  new DataView(b.buffer).setBigInt64(0, v, true)
  return concat(varint((n << 3) | 1), b)
}

/** Time is a google.protobuf.Timestamp. */
export interface Time {
  readonly seconds: bigint
  readonly nanos: number
}

/** timeBytes encodes a timestamp. */
export const timeBytes = (t: Time): Uint8Array => concat(uintField(1, t.seconds), uintField(2, t.nanos))

/** A Message reads the fields of one message in rising order; done() refuses what is left. */
export class Message {
  private at = 0
  private readonly b: Uint8Array

  constructor(b: Uint8Array) {
    this.b = b
  }

  private raw(): bigint {
    let v = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const x = this.b[this.at++]
      if (x === undefined) throw new ProtoError()
      v |= BigInt(x & 0x7f) << shift
      if (x < 0x80) {
        if ((x === 0 && shift > 0n) || v >= 1n << 64n) throw new ProtoError()
        return v
      }
    }
    throw new ProtoError()
  }

  /** next reports whether the next field is that one, and steps over its tag. */
  private next(tag: number): boolean {
    const before = this.at
    if (before < this.b.length && this.raw() === BigInt(tag)) return true
    this.at = before
    return false
  }

  /** uint reads a varint field; 0 if it is not there. */
  uint(n: number): bigint {
    if (!this.next(n << 3)) return 0n
    const v = this.raw()
    if (v === 0n) throw new ProtoError()
    return v
  }

  /** int64 reads a signed varint field. */
  int64(n: number): bigint {
    return BigInt.asIntN(64, this.uint(n))
  }

  /** int32 reads a signed varint field of 32 bits; a negative one takes ten bytes. */
  int32(n: number): number {
    const v = this.int64(n)
    if (v !== BigInt.asIntN(32, v)) throw new ProtoError()
    return Number(v)
  }

  /** uint32 reads a varint field of 32 bits. */
  uint32(n: number): number {
    const v = this.uint(n)
    if (v > 0xffffffffn) throw new ProtoError()
    return Number(v)
  }

  /** message reads a length-delimited field, empty ones too; undefined if it is not there. */
  message(n: number): Uint8Array | undefined {
    if (!this.next((n << 3) | 2)) return undefined
    const size = this.raw()
    if (size > BigInt(this.b.length - this.at)) throw new ProtoError()
    this.at += Number(size)
    return this.b.slice(this.at - Number(size), this.at)
  }

  /** required reads a message that is always written. */
  required(n: number): Uint8Array {
    const b = this.message(n)
    if (b === undefined) throw new ProtoError()
    return b
  }

  /** bytes reads bytes or text; empty if the field is not there, and never written empty. */
  bytes(n: number): Uint8Array {
    const b = this.message(n)
    if (b?.length === 0) throw new ProtoError()
    return b ?? new Uint8Array(0)
  }

  /** repeated reads all fields of that number. */
  repeated(n: number): Uint8Array[] {
    const out: Uint8Array[] = []
    for (let b = this.message(n); b !== undefined; b = this.message(n)) out.push(b)
    return out
  }

  /** time reads a timestamp that is always written. */
  time(n: number): Time {
    const m = new Message(this.required(n))
    const seconds = m.int64(1)
    const nanos = m.int32(2)
    m.done()
    // Years 1 to 9999, as the type's own rules say.
    if (nanos < 0 || nanos > 999_999_999 || seconds < -62135596800n || seconds > 253402300799n) throw new ProtoError()
    return { seconds, nanos }
  }

  /** done refuses fields that nobody asked for. */
  done(): void {
    if (this.at !== this.b.length) throw new ProtoError()
  }
}
