/** Opening what custodians release to a reader: spec/seal.md section 6. */
import { concat, u32 } from '../wire/bytes.ts'
import { SealError } from './error.ts'
import { H } from './hash.ts'
import { type Header, headerHash, maxRecords } from './header.ts'
import { unbox } from './hpke.ts'
import { sharePathLength } from './manifest.ts'

/** checkList wants 1 to count positions, strictly rising. @throws SealError invalid */
export function checkList(list: readonly number[], count: number): void {
  const rising = list.every((p, k) => Number.isInteger(p) && p >= 0 && p < count && (k === 0 || p > (list[k - 1] ?? 0)))
  if (list.length < 1 || list.length > count || !rising) throw new SealError('invalid', 'seal: a list holds rising positions of the batch')
}

/** releaseInfo binds a release to session, custodian, batch and list. label is "release" or "release-proofs". */
export const releaseInfo = (label: string, session: Uint8Array, index: number, hh: Uint8Array, list: readonly number[]): Uint8Array =>
  H(label, session, u32(index), hh, concat(...list.map((p) => u32(p + 1))))

const split = (b: Uint8Array): Uint8Array[] => Array.from({ length: b.length / 32 }, (_, k) => b.slice(32 * k, 32 * k + 32))

/** openRelease gives custodian index's shares of the listed records, as it sent them: combine finds out whether they are right. @throws SealError open, invalid */
export function openRelease(seed: Uint8Array, session: Uint8Array, index: number, hh: Uint8Array, list: readonly number[], sealed: Uint8Array): Uint8Array[] {
  checkList(list, maxRecords)
  const plain = unbox(seed, releaseInfo('release', session, index, hh, list), sealed)
  if (plain.length !== 32 * list.length) throw new SealError('open', 'seal: release of another length')
  const shares = split(plain)
  plain.fill(0)
  return shares
}

/** openProofs gives for each listed record the path of its share. @throws SealError open, invalid */
export function openProofs(seed: Uint8Array, session: Uint8Array, index: number, h: Header, list: readonly number[], sealed: Uint8Array): Uint8Array[][] {
  checkList(list, h.count)
  const hashes = split32(unbox(seed, releaseInfo('release-proofs', session, index, headerHash(h), list), sealed))
  const lengths = list.map((p) => sharePathLength(h, p))
  if (hashes === undefined || hashes.length !== lengths.reduce((a, b) => a + b, 0)) throw new SealError('open', 'seal: proofs of another length')
  let at = 0
  return lengths.map((n) => hashes.slice(at, (at += n)))
}

const split32 = (b: Uint8Array): Uint8Array[] | undefined => (b.length % 32 === 0 ? split(b) : undefined)

