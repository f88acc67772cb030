/** The literals of a block: RFC 8878 section 3.1.1.3.1. */
import { ZstdError } from './bits.ts'
import { decodeHuffman, type Huffman, readHuffman } from './huffman.ts'

/** readLiterals reads a literals section; known is the tree of an earlier block or the dictionary. */
export function readLiterals(b: Uint8Array, known: Huffman | undefined): { literals: Uint8Array; size: number; huffman: Huffman | undefined } {
  const head = b[0]
  if (head === undefined) throw new ZstdError()
  const type = head & 3
  const format = (head >> 2) & 3
  if (type < 2) {
    const bytes = format === 1 ? 2 : format === 3 ? 3 : 1
    if (b.length < bytes) throw new ZstdError()
    const n = bytes === 1 ? head >> 3 : (head >> 4) | ((b[1] ?? 0) << 4) | (bytes === 3 ? (b[2] ?? 0) << 12 : 0)
    const size = bytes + (type === 0 ? n : 1)
    if (b.length < size) throw new ZstdError()
    const literals = type === 0 ? b.subarray(bytes, size) : new Uint8Array(n).fill(b[bytes] ?? 0)
    return { literals, size, huffman: known }
  }
  const bytes = format < 2 ? 3 : format + 2
  const width = format < 2 ? 10 : format === 2 ? 14 : 18
  let v = 0
  for (let i = bytes - 1; i >= 0; i--) v = v * 256 + (b[i] ?? 0)
  const n = Math.floor(v / 16) % 2 ** width
  const packed = Math.floor(v / 2 ** (4 + width))
  if (b.length < bytes + packed || n > 1 << 17) throw new ZstdError()
  let rest = b.subarray(bytes, bytes + packed)
  let huffman = known
  if (type === 2) {
    const h = readHuffman(rest)
    huffman = h.table
    rest = rest.subarray(h.size)
  }
  if (huffman === undefined) throw new ZstdError()
  const literals = new Uint8Array(n)
  if (format === 0) decodeHuffman(huffman, rest, literals)
  else fourStreams(huffman, rest, literals)
  return { literals, size: bytes + packed, huffman }
}

/** A jump table of three sizes, then four streams of a quarter each. Section 3.1.1.3.1.6. */
function fourStreams(t: Huffman, b: Uint8Array, out: Uint8Array): void {
  if (b.length < 6) throw new ZstdError()
  const quarter = (out.length + 3) >> 2
  let from = 6
  for (let i = 0; i < 4; i++) {
    const size = i < 3 ? (b[2 * i] ?? 0) | ((b[2 * i + 1] ?? 0) << 8) : b.length - from
    if (size < 1 || from + size > b.length || i * quarter > out.length) throw new ZstdError()
    decodeHuffman(t, b.subarray(from, from + size), out.subarray(i * quarter, i < 3 ? (i + 1) * quarter : out.length))
    from += size
  }
}
