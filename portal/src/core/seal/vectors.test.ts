import { describe, expect, test } from 'vitest'
import { bytesOf, vectors } from '../testing.ts'
import { hex } from '../wire/bytes.ts'
import { decode, encode } from '../wire/schema.ts'
import { pathOf, rootOf } from '../ledger/merkle.ts'
import { attribute, combine, combineProven, type Wanted } from './combine.ts'
import { SealError } from './error.ts'
import { H } from './hash.ts'
import { commitmentsHash, type Header, headerHash, headerSchema, patientCommit, shareRootsHash, validateHeader } from './header.ts'
import { box, forget, keyPair, unbox } from './hpke.ts'
import { entryLeaf, learn, type ManifestEntry, manifestRoot, shareRoot, verifyEntryPath } from './manifest.ts'
import { bucket, decrypt, encrypt, recordKey } from './record.ts'
import { openProofs, openRelease, releaseInfo } from './release.ts'
import { combineScalars, decodeScalar, encodeScalar, onPolynomials, weights } from './threshold.ts'

test('H, buckets and trees are those of the vectors', () => {
  for (const c of vectors<{ label: string; parts: string[]; hash: string }[]>('seal/hash.json')) expect(hex(H(c.label, ...c.parts.map(bytesOf)))).toBe(c.hash)
  for (const c of vectors<{ size: number; bucket: number }[]>('seal/bucket.json')) expect([c.size, bucket(c.size)]).toEqual([c.size, c.bucket])
  for (const c of vectors<{ leaves: string[]; root: string; paths: string[][] }[]>('seal/tree.json')) {
    const leaves = c.leaves.map(bytesOf)
    expect(hex(rootOf(leaves))).toBe(c.root)
    c.paths.forEach((p, i) => expect(pathOf(leaves, i).map(hex)).toEqual(p))
  }
})

interface Deal {
  n: number
  t: number
  secrets: string[]
  shares: string[][]
  commitments: string[]
  nextShares: string[][]
  nextCommitments: string[]
  nextT: number
}

test('shares combine to the secrets and lie on the committed polynomials', () => {
  for (const c of vectors<Deal[]>('seal/threshold.json')) {
    for (const [t, shares, commitments] of [
      [c.t, c.shares, c.commitments],
      [c.nextT, c.nextShares, c.nextCommitments],
    ] as const) {
      const indices = shares.map((_, i) => i + 1).slice(-t)
      const w = weights(indices)
      c.secrets.forEach((want, r) => {
        const some = indices.map((i) => decodeScalar(bytesOf(shares[i - 1]?.[r + 1] ?? '')) ?? 0n)
        expect(hex(encodeScalar(combineScalars(w, some)))).toBe(want)
      })
      shares.forEach((s, i) => expect(onPolynomials(commitments.map(bytesOf), i + 1, s.map(bytesOf))).toBe(true))
      const wrong = (shares[0] ?? []).map(bytesOf).reverse()
      expect(onPolynomials(commitments.map(bytesOf), 1, wrong)).toBe(false)
    }
  }
})

interface Batch {
  patient: string
  opening: string
  header: Record<string, string | number> & { hash: string }
  commitments: string[]
  entries: (Record<'id' | 'slots' | 'ciphertextHash' | 'keyCommit' | 'meta' | 'leaf' | 'plain' | 'encrypted' | 'key', string> & { kind: number; size: number; path: string[] })[]
  custodians: { index: number; keyEpoch: number; seed: string; info: string; envelope: string; shares: string[]; shareRoot: string; release: string; releaseInfo: string; proofs: string; proofsInfo: string }[]
  readerSeed: string
  session: string
  list: number[]
}

const v = vectors<Batch>('seal/batch.json')
const s = (k: string): Uint8Array => bytesOf(String(v.header[k]))
const header: Header = {
  version: Number(v.header['version']),
  suite: Number(v.header['suite']),
  chain: String(v.header['chain']),
  author: s('author'),
  patientCommit: s('patientCommit'),
  batchNonce: s('batchNonce'),
  epoch: BigInt(v.header['epoch'] ?? 0),
  n: Number(v.header['n']),
  t: Number(v.header['t']),
  count: Number(v.header['count']),
  manifestRoot: s('manifestRoot'),
  shareRoots: s('shareRoots'),
  vssRoot: s('vssRoot'),
}
const entries: ManifestEntry[] = v.entries.map((e) => ({ id: bytesOf(e.id), slots: BigInt(`0x${e.slots}`), kind: e.kind, ciphertext: bytesOf(e.ciphertextHash), meta: bytesOf(e.meta), size: e.size }))
const session = bytesOf(v.session)
const reader = keyPair(bytesOf(v.readerSeed))
const roots = v.custodians.map((c) => bytesOf(c.shareRoot))
const wanted = (positions: readonly number[]): Wanted[] =>
  positions.map((p) => {
    const e = entries[p]
    if (e === undefined) throw new Error('no such entry')
    return { position: p, id: e.id, commit: learn(e, bytesOf(v.entries[p]?.encrypted ?? '')) }
  })
const released = () => new Map(v.custodians.map((c) => [c.index, openRelease(reader.seed, session, c.index, headerHash(header), v.list, bytesOf(c.release))]))
const proofs = () => new Map(v.custodians.map((c) => [c.index, openProofs(reader.seed, session, c.index, header, v.list, bytesOf(c.proofs))]))

describe('the batch of the vectors', () => {
  test('header, entries and commitments hash to what they should', () => {
    validateHeader(header)
    expect(hex(headerHash(header))).toBe(v.header.hash)
    expect(decode(headerSchema, encode(headerSchema, header))).toEqual(header)
    expect(hex(patientCommit(bytesOf(v.patient), bytesOf(v.opening)))).toBe(v.header['patientCommit'])
    expect(hex(shareRootsHash(roots))).toBe(v.header['shareRoots'])
    expect(hex(commitmentsHash(v.commitments.map(bytesOf)))).toBe(v.header['vssRoot'])
    expect(hex(manifestRoot(entries))).toBe(v.header['manifestRoot'])
    entries.forEach((e, i) => {
      const c = v.entries[i]
      expect(hex(entryLeaf(e, i))).toBe(c?.leaf)
      expect(verifyEntryPath(header, i, e, (c?.path ?? []).map(bytesOf))).toBe(true)
      expect(verifyEntryPath(header, (i + 1) % 5, e, (c?.path ?? []).map(bytesOf))).toBe(false)
    })
  })

  test('envelopes open, and hold what was dealt', () => {
    for (const c of v.custodians) {
      const plain = unbox(bytesOf(c.seed), bytesOf(c.info), bytesOf(c.envelope))
      expect(hex(plain)).toBe(c.shares.join('') + v.opening + v.patient)
      expect(hex(shareRoot(header.batchNonce, c.index, c.shares.map(bytesOf)))).toBe(c.shareRoot)
      expect(onPolynomials(v.commitments.map(bytesOf), c.index, c.shares.map(bytesOf))).toBe(true)
      expect(hex(releaseInfo('release', session, c.index, headerHash(header), v.list))).toBe(c.releaseInfo)
      expect(hex(releaseInfo('release-proofs', session, c.index, headerHash(header), v.list))).toBe(c.proofsInfo)
    }
  })

  test('three releases and the entries give the plaintexts', () => {
    const shares = released()
    shares.delete(2)
    const got = combine(header, wanted(v.list), shares)
    expect(got.bad).toEqual([])
    v.list.forEach((p, k) => {
      const e = entries[p]
      const c = v.entries[p]
      const key = got.keys[k]
      if (e === undefined || c === undefined || key === undefined) throw new Error('no key')
      expect(hex(key)).toBe(c.key)
      expect(hex(decrypt(header, e, key, bytesOf(c.encrypted)))).toBe(c.plain)
      expect(hex(encrypt(header, e.id, key, bytesOf(c.keyCommit), bytesOf(c.plain)))).toBe(c.encrypted)
    })
  })

  test('two releases are too few', () => {
    const shares = released()
    shares.delete(1)
    shares.delete(2)
    expect(() => combine(header, wanted(v.list), shares)).toThrow(expect.objectContaining({ fault: 'too-few' }))
  })

  test('one liar among four is named, with and without proofs', () => {
    const shares = released()
    const lie = shares.get(3) ?? []
    lie[1] = shares.get(4)?.[1] ?? new Uint8Array(32)
    const got = combine(header, wanted(v.list), shares)
    expect([got.bad, got.disputed]).toEqual([[3], false])
    expect(hex(got.keys[1] ?? new Uint8Array(0))).toBe(v.entries[v.list[1] ?? 0]?.key)
    expect(attribute(header, roots, v.list, shares, proofs())).toEqual([3])
    const proven = combineProven(header, wanted(v.list), roots, shares, proofs())
    expect([proven.bad, proven.author]).toEqual([[3], false])
    expect(proven.keys?.map((k) => k && hex(k))).toEqual(v.list.map((p) => v.entries[p]?.key))
  })

  test('one liar among three gives no key but with a fourth', () => {
    const shares = released()
    shares.delete(4)
    shares.set(1, (shares.get(1) ?? []).map(() => encodeScalar(7n)))
    expect(() => combine(header, wanted(v.list), shares)).toThrow(expect.objectContaining({ fault: 'mismatch' }))
    expect(() => combineProven(header, wanted(v.list), roots, shares, proofs())).toThrow(expect.objectContaining({ fault: 'too-few', custodians: [1] }))
  })

  test('a share that is no scalar is its sender’s fault', () => {
    const shares = released()
    shares.set(2, (shares.get(2) ?? []).map(() => new Uint8Array(32).fill(0xff)))
    expect(combine(header, wanted(v.list), shares).bad).toEqual([2])
  })

  test('a release opens for one session, custodian, batch and list', () => {
    const sealed = bytesOf(v.custodians[0]?.release ?? '')
    const hh = headerHash(header)
    const open = (session_: Uint8Array, i: number, h: Uint8Array, list: number[]) => () => openRelease(reader.seed, session_, i, h, list, sealed)
    expect(open(session, 1, hh, v.list)()).toHaveLength(3)
    for (const bad of [open(hh, 1, hh, v.list), open(session, 2, hh, v.list), open(session, 1, session, v.list), open(session, 1, hh, [0, 1, 4])]) {
      expect(bad).toThrow(expect.objectContaining({ fault: 'open' }))
    }
  })

  test('another ciphertext and another key are refused', () => {
    const e = entries[0]
    const c = v.entries[0]
    if (e === undefined || c === undefined) throw new Error('no entry')
    const ct = bytesOf(c.encrypted)
    expect(() => decrypt(header, e, bytesOf(v.entries[1]?.key ?? ''), ct)).toThrow(SealError)
    ct[40] = (ct[40] ?? 0) ^ 1
    expect(() => decrypt(header, e, bytesOf(c.key), ct)).toThrow(expect.objectContaining({ fault: 'ciphertext' }))
  })
})

test('what is boxed here opens here, and for nobody else', () => {
  const pair = keyPair()
  const info = H('info')
  const sealed = box(pair.publicKey, info, bytesOf('0102'))
  expect(hex(unbox(pair.seed, info, sealed))).toBe('0102')
  expect(() => unbox(keyPair().seed, info, sealed)).toThrow(SealError)
  expect(() => unbox(pair.seed, H('other'), sealed)).toThrow(SealError)
  forget(pair)
  expect(() => unbox(pair.seed, info, sealed)).toThrow(SealError)
})

test('a key commits to its record', () => {
  const a = recordKey(new Uint8Array(32), new Uint8Array(32), new Uint8Array(16))
  const b = recordKey(new Uint8Array(32), new Uint8Array(32), new Uint8Array(16).fill(1))
  expect(hex(a.commit)).not.toBe(hex(b.commit))
})
