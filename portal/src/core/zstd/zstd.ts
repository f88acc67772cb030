/**
 * A zstd decoder for one frame with a dictionary (RFC 8878), which no
 * maintained JavaScript library offers. It takes what package compress writes:
 * a single segment with its content size and no checksum, and nothing behind it.
 */
import { ZstdError } from './bits.ts'
import { readFSE } from './fse.ts'
import { type Huffman, readHuffman } from './huffman.ts'
import { readLiterals } from './literals.ts'
import { readSequences, type Tables } from './sequences.ts'

export { ZstdError } from './bits.ts'

/** Dictionary is a parsed one: section 5. */
export interface Dictionary {
  readonly id: number
  readonly huffman: Huffman
  readonly tables: Readonly<Tables>
  readonly offsets: readonly [number, number, number]
  readonly content: Uint8Array
}

const u32 = (b: Uint8Array, i: number): number => ((b[i] ?? 0) | ((b[i + 1] ?? 0) << 8) | ((b[i + 2] ?? 0) << 16) | ((b[i + 3] ?? 0) << 24)) >>> 0

/** parseDictionary reads a dictionary file. @throws ZstdError */
export function parseDictionary(b: Uint8Array): Dictionary {
  if (b.length < 8 || u32(b, 0) !== 0xec30a437) throw new ZstdError()
  let at = 8
  const h = readHuffman(b.subarray(at))
  at += h.size
  const table = (maxLog: number, maxSymbol: number) => {
    const f = readFSE(b.subarray(at), maxLog, maxSymbol)
    at += f.size
    return f.table
  }
  const offset = table(8, 31)
  const match = table(9, 52)
  const literal = table(9, 35)
  const offsets = [u32(b, at), u32(b, at + 4), u32(b, at + 8)] as const
  const content = b.slice(at + 12)
  if (offsets.some((o) => o === 0 || o > content.length)) throw new ZstdError()
  return { id: u32(b, 4), huffman: h.table, tables: { literal, offset, match }, offsets, content }
}

/** FrameHeader is what the front of a frame says. */
interface FrameHeader {
  readonly size: number
  readonly content: number
  readonly dictionary: number
}

/** readHeader takes a single-segment frame with content size and without checksum: section 3.1.1.1. */
function readHeader(b: Uint8Array): FrameHeader {
  const d = b[4]
  if (b.length < 6 || d === undefined || u32(b, 0) !== 0xfd2fb528 || (d & 0x20) === 0 || (d & 0x0c) !== 0) throw new ZstdError()
  const idSize = [0, 1, 2, 4][d & 3] ?? 0
  const sizeSize = [1, 2, 4, 8][d >> 6] ?? 1
  const size = 5 + idSize + sizeSize
  if (b.length < size) throw new ZstdError()
  const little = (at: number, n: number): number => {
    let v = 0
    for (let i = n - 1; i >= 0; i--) v = v * 256 + (b[at + i] ?? 0)
    return v
  }
  return { size, dictionary: little(5, idSize), content: little(5 + idSize, sizeSize) + (sizeSize === 2 ? 256 : 0) }
}

const maxBlock = 1 << 17

/**
 * decompressFrame gives the content of exactly one frame of at most max bytes.
 * It uses memory for the content alone, whatever the input claims.
 * @throws ZstdError
 */
export function decompressFrame(b: Uint8Array, dict: Dictionary, max: number): Uint8Array {
  const head = readHeader(b)
  if (head.dictionary !== dict.id || head.content > max) throw new ZstdError()
  const f = new Frame(dict, head.content)
  let at = head.size
  for (;;) {
    if (at + 3 > b.length) throw new ZstdError()
    const block = (b[at] ?? 0) | ((b[at + 1] ?? 0) << 8) | ((b[at + 2] ?? 0) << 16)
    const type = (block >> 1) & 3
    const n = block >>> 3
    at += 3
    const size = type === 1 ? 1 : n
    if (n > maxBlock || at + size > b.length) throw new ZstdError()
    const body = b.subarray(at, at + size)
    at += size
    if (type === 0) f.append(body)
    else if (type === 1) f.append(new Uint8Array(n).fill(body[0] ?? 0))
    else if (type === 2) f.compressed(body)
    else throw new ZstdError()
    if ((block & 1) === 1) break
  }
  if (at !== b.length) throw new ZstdError()
  return f.done()
}

class Frame {
  private readonly out: Uint8Array
  private at = 0
  private huffman: Huffman | undefined
  private readonly tables: Tables
  private offsets: [number, number, number]
  private readonly dict: Uint8Array

  constructor(d: Dictionary, size: number) {
    this.out = new Uint8Array(size)
    this.huffman = d.huffman
    this.tables = { ...d.tables }
    this.offsets = [...d.offsets]
    this.dict = d.content
  }

  done(): Uint8Array {
    if (this.at !== this.out.length) throw new ZstdError()
    return this.out
  }

  append(b: Uint8Array): void {
    if (this.at + b.length > this.out.length) throw new ZstdError()
    this.out.set(b, this.at)
    this.at += b.length
  }

  compressed(b: Uint8Array): void {
    const { literals, size, huffman } = readLiterals(b, this.huffman)
    this.huffman = huffman
    let used = 0
    const take = (n: number) => {
      if (used + n > literals.length) throw new ZstdError()
      this.append(literals.subarray(used, used + n))
      used += n
    }
    readSequences(b.subarray(size), this.tables, (l, value, m) => {
      take(l)
      this.match(this.offset(value, l), m)
    })
    take(literals.length - used)
  }

  /** Repeated offsets: section 3.1.1.5. */
  private offset(value: number, literals: number): number {
    const [a, b, c] = this.offsets
    if (value > 3) {
      this.offsets = [value - 3, a, b]
      return value - 3
    }
    const i = literals === 0 ? value : value - 1
    if (i === 0) return a
    const o = i === 1 ? b : i === 2 ? c : a - 1
    this.offsets = i === 1 ? [b, a, c] : [o, a, b]
    return o
  }

  /** The window is the dictionary and all that came out: an offset may reach into the dictionary. */
  private match(offset: number, n: number): void {
    const { out, dict } = this
    let from = this.at - offset
    if (offset < 1 || from < -dict.length || this.at + n > out.length) throw new ZstdError()
    if (from < 0) {
      const part = Math.min(n, -from)
      out.set(dict.subarray(dict.length + from, dict.length + from + part), this.at)
      this.at += part
      from += part
      n -= part
    }
    for (; n > 0; n--) out[this.at++] = out[from++] ?? 0
  }
}
