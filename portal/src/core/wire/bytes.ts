/** Byte strings: the few operations that everything else needs. No secrets are compared here but by equalConstant. */

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** utf8 encodes text. */
export const utf8 = (s: string): Uint8Array => encoder.encode(s)

/** fromUtf8 decodes text; undefined if the bytes are not UTF-8. */
export function fromUtf8(b: Uint8Array): string | undefined {
  try {
    return decoder.decode(b)
  } catch {
    return undefined
  }
}

/** hex writes lower case hexadecimal digits. */
export function hex(b: Uint8Array): string {
  let s = ''
  for (const v of b) s += (v < 16 ? '0' : '') + v.toString(16)
  return s
}

/** unhex reads lower case hexadecimal digits and nothing else; undefined for another text. */
export function unhex(s: string): Uint8Array | undefined {
  if (s.length % 2 !== 0 || !/^[0-9a-f]*$/.test(s)) return undefined
  const out = new Uint8Array(s.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = parseInt(s.slice(2 * i, 2 * i + 2), 16)
  return out
}

/** concat joins byte strings. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let n = 0
  for (const p of parts) n += p.length
  const out = new Uint8Array(n)
  n = 0
  for (const p of parts) {
    out.set(p, n)
    n += p.length
  }
  return out
}

/** compare orders byte strings as bytes, a shorter one before its continuations. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const d = (a[i] ?? 0) - (b[i] ?? 0)
    if (d !== 0) return d
  }
  return a.length - b.length
}

/** equal compares public byte strings. */
export const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && compare(a, b) === 0

/** equalConstant compares in a time that depends on the lengths alone, as far as a JavaScript engine allows. */
export function equalConstant(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let d = 0
  for (let i = 0; i < a.length; i++) d |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return d === 0
}

/** isZero reports whether every byte is zero. */
export const isZero = (b: Uint8Array): boolean => b.every((v) => v === 0)

/** startsWith reports whether b begins with prefix. */
export const startsWith = (b: Uint8Array, prefix: Uint8Array): boolean => b.length >= prefix.length && equal(b.subarray(0, prefix.length), prefix)

/** u16 is a number in 2 bytes, big endian. */
export const u16 = (v: number): Uint8Array => new Uint8Array([v >>> 8, v])

/** u32 is a number in 4 bytes, big endian. */
export const u32 = (v: number): Uint8Array => new Uint8Array([v >>> 24, v >>> 16, v >>> 8, v])

/** u64 is a number in 8 bytes, big endian. */
export function u64(v: bigint | number): Uint8Array {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, BigInt(v))
  return out
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** base64url encodes without padding (RFC 4648 section 5). */
export function base64url(b: Uint8Array): string {
  let s = ''
  for (let i = 0; i < b.length; i += 3) {
    const v = ((b[i] ?? 0) << 16) | ((b[i + 1] ?? 0) << 8) | (b[i + 2] ?? 0)
    const n = Math.min(3, b.length - i)
    for (let k = 0; k <= n; k++) s += alphabet[(v >>> (18 - 6 * k)) & 63]
  }
  return s
}

/** unbase64 reads base64 or base64url, with or without padding; undefined for anything else or left-over bits. */
export function unbase64(text: string): Uint8Array | undefined {
  const s = text.replace(/={0,2}$/, '').replace(/\+/g, '-').replace(/\//g, '_')
  if (s.length % 4 === 1 || !/^[A-Za-z0-9_-]*$/.test(s)) return undefined
  const out = new Uint8Array(Math.floor((s.length * 3) / 4))
  let acc = 0
  let bits = 0
  let n = 0
  for (const c of s) {
    acc = ((acc << 6) | alphabet.indexOf(c)) & 0xffffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      out[n++] = acc >>> bits
    }
  }
  return (acc & ((1 << bits) - 1)) === 0 ? out : undefined
}
