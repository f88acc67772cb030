/** The batch header, the only part of a sealed batch on the ledger: spec/seal.md section 4. */
import { isZero, u16 as be16, u32 as be32, u64 as be64, utf8 } from '../wire/bytes.ts'
import { fixed, type Infer, struct, text, u16, u64, u8 } from '../wire/schema.ts'
import { SealError } from './error.ts'
import { H } from './hash.ts'

const hash = fixed(32)

export const headerSchema = struct({
  version: [1, u8],
  suite: [2, u16],
  chain: [3, text],
  author: [4, fixed(16)],
  patientCommit: [5, hash],
  batchNonce: [6, hash],
  epoch: [7, u64],
  n: [8, u8],
  t: [9, u8],
  count: [10, u16],
  manifestRoot: [11, hash],
  shareRoots: [12, hash],
  vssRoot: [13, hash],
})

/** Header: n custodians, threshold t, count records; the roots commit to manifest, shares and polynomials. */
export type Header = Infer<typeof headerSchema>

/** Limits of format version 1. */
export const suite = 0x647a
export const maxRecords = 1024
export const maxCustodians = 64

/** headerHash binds every field; it is the info of every envelope and release. */
export function headerHash(h: Header): Uint8Array {
  return H(
    'header',
    new Uint8Array([h.version]),
    be16(h.suite),
    utf8(h.chain),
    h.author,
    h.patientCommit,
    h.batchNonce,
    be64(h.epoch),
    be32(h.n),
    be32(h.t),
    be32(h.count),
    h.manifestRoot,
    h.shareRoots,
    h.vssRoot,
  )
}

/** faulty is f: how many of n custodians may be faulty. */
export const faulty = (n: number): number => Math.floor((n - 1) / 3)

/** validateHeader checks what needs no ledger: version, suite, sizes, 2f < t <= n - f. @throws SealError invalid */
export function validateHeader(h: Header): void {
  const chain = utf8(h.chain).length
  const f = faulty(h.n)
  const sound =
    h.version === 1 &&
    h.suite === suite &&
    chain >= 1 &&
    chain <= 64 &&
    h.count >= 1 &&
    h.count <= maxRecords &&
    h.n >= 1 &&
    h.n <= maxCustodians &&
    h.t > 2 * f &&
    h.t <= h.n - f &&
    !isZero(h.author) &&
    ![h.patientCommit, h.batchNonce, h.manifestRoot, h.shareRoots, h.vssRoot].some(isZero)
  if (!sound) throw new SealError('invalid', 'seal: the header is not well formed')
}

/** patientCommit hides a pseudonym under a random opening of 32 bytes. */
export const patientCommit = (patient: Uint8Array, opening: Uint8Array): Uint8Array => H('patient', patient, opening)

/** shareRootsHash commits to the n share roots in custodian order. */
export const shareRootsHash = (roots: readonly Uint8Array[]): Uint8Array => H('shareroots', ...roots)

/** commitmentsHash commits to the t Pedersen commitments. */
export const commitmentsHash = (commitments: readonly Uint8Array[]): Uint8Array => H('vss', ...commitments)
