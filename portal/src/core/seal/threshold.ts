/**
 * Shares over the scalars of ristretto255: spec/seal.md section 2.
 *
 * Combining works on secrets with BigInt, whose time depends on its values. The
 * wallet runs it on the reader's own machine over shares that she is given to
 * read; spec/seal.md asks for constant time of custodians and authors.
 */
import { ristretto255, ristretto255_hasher } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { concat, equal, u32, utf8 } from '../wire/bytes.ts'

/** order is that of the group: 2^252 + 27742317777372353535851937790883648493. */
export const order = 2n ** 252n + 27742317777372353535851937790883648493n

const mod = (v: bigint): bigint => ((v % order) + order) % order

function power(b: bigint, e: bigint): bigint {
  let r = 1n
  for (; e > 0n; e >>= 1n) {
    if (e & 1n) r = (r * b) % order
    b = (b * b) % order
  }
  return r
}

/** decodeScalar reads 32 bytes little endian; undefined unless they are canonical. */
export function decodeScalar(b: Uint8Array): bigint | undefined {
  if (b.length !== 32) return undefined
  const d = new DataView(b.buffer, b.byteOffset, 32)
  const v = d.getBigUint64(0, true) | (d.getBigUint64(8, true) << 64n) | (d.getBigUint64(16, true) << 128n) | (d.getBigUint64(24, true) << 192n)
  return v < order ? v : undefined
}

/** encodeScalar writes 32 bytes little endian. */
export function encodeScalar(v: bigint): Uint8Array {
  const out = new Uint8Array(32)
  const d = new DataView(out.buffer)
  for (let i = 0; i < 4; i++) d.setBigUint64(8 * i, BigInt.asUintN(64, v >> BigInt(64 * i)), true)
  return out
}

/**
 * weights gives for each custodian the weight of its share in the value at x; 0
 * is the secret. indices are distinct and from 1.
 */
export function weights(indices: readonly number[], x = 0): bigint[] {
  return indices.map((i) => {
    let num = 1n
    let den = 1n
    for (const j of indices) {
      if (j === i) continue
      num = mod(num * BigInt(x - j))
      den = mod(den * BigInt(i - j))
    }
    return mod(num * power(den, order - 2n))
  })
}

/** combine sums weighted shares: the secret, or another custodian's share. */
export function combineScalars(w: readonly bigint[], shares: readonly bigint[]): bigint {
  let sum = 0n
  w.forEach((x, k) => (sum += x * (shares[k] ?? 0n)))
  return sum % order
}

const generators: InstanceType<typeof ristretto255.Point>[] = []

/** generator gives H_r: the one-way map (RFC 9496 section 4.3.4) of SHA-512(tag || r in 4 bytes). */
function generator(r: number): InstanceType<typeof ristretto255.Point> {
  const known = generators[r]
  if (known !== undefined) return known
  const g = ristretto255_hasher.deriveToCurve?.(sha512(concat(utf8('salus/custody/v1/generator'), u32(r))))
  if (g === undefined) throw new Error('seal: internal error: no one-way map')
  generators[r] = g
  return g
}

/**
 * onPolynomials reports whether a custodian's share vector, blinding share first,
 * lies on the committed polynomials: sum s_r H_r = sum i^k D_k. A wallet does
 * not need it to read; it is here for who checks a dealing in the browser.
 */
export function onPolynomials(commitments: readonly Uint8Array[], index: number, shares: readonly Uint8Array[]): boolean {
  const { Point } = ristretto255
  let want = Point.ZERO
  let x = 1n
  try {
    for (const d of commitments) {
      want = want.add(Point.fromBytes(d).multiplyUnsafe(x))
      x = mod(x * BigInt(index))
    }
  } catch {
    return false
  }
  let got = Point.ZERO
  for (const [r, s] of shares.entries()) {
    const v = decodeScalar(s)
    if (v === undefined) return false
    if (v !== 0n) got = got.add(generator(r).multiply(v))
  }
  return equal(got.toBytes(), want.toBytes())
}
