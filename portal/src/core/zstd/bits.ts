/** Bit streams of zstd: RFC 8878 sections 4.1 and 4.2. */

/** ZstdError: the bytes are not a frame of this format. It holds none of them. */
export class ZstdError extends Error {
  constructor() {
    super('zstd: damaged frame')
    this.name = 'ZstdError'
  }
}

/** bitLength is the number of bits of a positive number; floor(log2 v) is one less. */
export const bitLength = (v: number): number => 32 - Math.clz32(v)

/** ForwardBits reads bits from the front, the lowest of each byte first. */
export class ForwardBits {
  private at = 0
  private readonly b: Uint8Array

  constructor(b: Uint8Array) {
    this.b = b
  }

  /** read takes n bits, at most 16; bits behind the end are refused. */
  read(n: number): number {
    const v = this.peek(n)
    this.at += n
    if (this.at > 8 * this.b.length) throw new ZstdError()
    return v
  }

  peek(n: number): number {
    const i = this.at >>> 3
    const w = (this.b[i] ?? 0) | ((this.b[i + 1] ?? 0) << 8) | ((this.b[i + 2] ?? 0) << 16)
    return (w >>> (this.at & 7)) & ((1 << n) - 1)
  }

  skip(n: number): void {
    this.at += n
    if (this.at > 8 * this.b.length) throw new ZstdError()
  }

  /** bytes is how many bytes have been read, a part of one counting as one. */
  get bytes(): number {
    return (this.at + 7) >>> 3
  }
}

/** BackwardBits reads from the end towards the front, beginning below the highest bit set of the last byte. */
export class BackwardBits {
  /** how many bits are left; negative when zeros were read in front of the beginning */
  left: number
  private readonly b: Uint8Array

  constructor(b: Uint8Array) {
    const last = b[b.length - 1]
    if (last === undefined || last === 0) throw new ZstdError()
    this.b = b
    this.left = 8 * (b.length - 1) + bitLength(last) - 1
  }

  /** read takes n bits, at most 32. */
  read(n: number): number {
    if (n > 16) {
      const high = this.read(n - 16)
      return high * 65536 + this.read(16)
    }
    this.left -= n
    if (this.left >= 0) return this.bits(this.left, n)
    const there = n + this.left
    return there <= 0 ? 0 : this.bits(0, there) << -this.left
  }

  private bits(at: number, n: number): number {
    const i = at >>> 3
    const w = (this.b[i] ?? 0) | ((this.b[i + 1] ?? 0) << 8) | ((this.b[i + 2] ?? 0) << 16)
    return (w >>> (at & 7)) & ((1 << n) - 1)
  }
}
