/** For measurements alone: seals a record of many resources for four custodians and opens it as a wallet does. Runs in Node. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { type Anchored, answerInfo, type Committee, locatedSchema, type ReleaseReply, releaseReplySchema, releaseRequestSchema, replyDigest, listRoot, groups, sealedSchema } from './custody/message.ts'
import { Reader } from './custody/reader.ts'
import { pathOf } from './ledger/merkle.ts'
import { verifyFile } from './ledger/receipt.ts'
import { dictionaryName, openDictionary } from './seal/compress.ts'
import { type Header, headerHash, patientCommit, shareRootsHash } from './seal/header.ts'
import { box, keyPair } from './seal/hpke.ts'
import { entryLeaf, type ManifestEntry, manifestRoot, shareRoot } from './seal/manifest.ts'
import { encrypt, recordKey } from './seal/record.ts'
import { releaseInfo } from './seal/release.ts'
import { encodeScalar, order } from './seal/threshold.ts'
import { bytesOf, file, vectors } from './testing.ts'
import { concat, hex, u32, utf8 } from './wire/bytes.ts'
import { decodeAny, encode } from './wire/schema.ts'

const n = 4
const t = 3
const chain = 'salus-bench'

const random = (size: number): Uint8Array => crypto.getRandomValues(new Uint8Array(size))
const scalar = (): bigint => BigInt('0x' + hex(random(40))) % order

interface Batch {
  readonly header: Header
  readonly hash: Uint8Array
  readonly entries: ManifestEntry[]
  readonly ciphertexts: Uint8Array[]
  /** by custodian, blinding share first */
  readonly shares: Uint8Array[][]
  readonly roots: Uint8Array[]
  readonly paths: Uint8Array[][]
}

/** seal deals and encrypts one batch, without the commitments that only custodians look at. */
function sealBatch(plain: readonly Uint8Array[]): Batch {
  const nonce = random(32)
  const polynomials = Array.from({ length: plain.length + 1 }, () => Array.from({ length: t }, scalar))
  const at = (p: readonly bigint[], x: bigint) => p.reduceRight((v, c) => (v * x + c) % order, 0n)
  const shares = Array.from({ length: n }, (_, i) => polynomials.map((p) => encodeScalar(at(p, BigInt(i + 1)))))
  const draft = { version: 1, suite: 0x647a, chain, author: random(16), patientCommit: patientCommit(random(16), random(32)), batchNonce: nonce, epoch: 1n, n, t, count: plain.length }
  const roots = shares.map((s, i) => shareRoot(nonce, i + 1, s))
  const entries: ManifestEntry[] = []
  const ciphertexts = plain.map((p, i) => {
    const id = random(16)
    const { key, commit } = recordKey(encodeScalar(polynomials[i + 1]?.[0] ?? 0n), nonce, id)
    const ct = encrypt({ ...draft, manifestRoot: nonce, shareRoots: nonce, vssRoot: nonce }, id, key, commit, p)
    entries.push({ id, slots: 1n, kind: 0, ciphertext: sha256(ct), meta: new Uint8Array(32), size: ct.length })
    return ct
  })
  const header: Header = { ...draft, manifestRoot: manifestRoot(entries), shareRoots: shareRootsHash(roots), vssRoot: random(32) }
  const leaves = entries.map(entryLeaf)
  return { header, hash: headerHash(header), entries, ciphertexts, shares, roots, paths: leaves.map((_, i) => pathOf(leaves, i)) }
}

/** main prints one JSON value: milliseconds by step. */
export async function main(): Promise<void> {
  const batches = Number(process.argv[2] ?? 5)
  const each = Number(process.argv[3] ?? 100)
  const packed = vectors<{ name: string; packed: string }[]>('seal/compress.json').filter((c) => c.name === 'a resource').map((c) => bytesOf(c.packed))
  const sealed = Array.from({ length: batches }, (_, b) => sealBatch(Array.from({ length: each }, (_, i) => packed[(b * each + i) % packed.length] ?? new Uint8Array([0]))))
  const session = random(32)
  const key = keyPair()
  const service = Array.from({ length: n }, () => random(32))
  const committee: Committee = { epoch: { epoch: 1n, n, t, members: service.map((s) => s.slice(0, 16)), height: 1n }, keys: service.map((s) => [ed25519.getPublicKey(s)]), before: undefined }
  const byHash = new Map(sealed.map((b) => [hex(b.hash), b]))
  const anchored = (h: Uint8Array): Anchored | undefined => {
    const b = byHash.get(hex(h))
    if (b === undefined) return undefined
    const row = { author: b.header.author, epoch: 1n, count: each, pack: random(32), height: 1n, time: 1n, index: 1n, receipts: 15n, holders: 3n, complaints: 0n, active: 1n }
    return { put: { header: b.header, envelopes: random(32), pack: row.pack }, batch: row, holders: [random(16)], epoch: 0n }
  }
  const page = { next: 0n, batches: sealed.map((b) => ({ header: b.hash, logIndex: 1n, shareRoots: b.roots, pack: random(32), entries: b.entries.map((entry, index) => ({ index, entry, path: b.paths[index] ?? [] })) })) }
  const located = encode(sealedSchema, { box: box(key.publicKey, answerInfo('locate', session), encode(locatedSchema, page)) })
  const release = (i: number, raw: Uint8Array): Uint8Array => {
    const q = decodeAny(releaseRequestSchema, raw, raw.length)
    const parts = groups(q.list).map((g) => {
      const shares = g.positions.map((p) => byHash.get(hex(g.header))?.shares[i]?.[p + 1] ?? new Uint8Array(32))
      return { header: g.header, sealed: box(key.publicKey, releaseInfo('release', session, i + 1, g.header, g.positions), concat(...shares)), proofs: new Uint8Array(0) }
    })
    const reply: ReleaseReply = { custodian: i + 1, parts, sequence: 1n, height: 1n, signature: new Uint8Array(64) }
    reply.signature = ed25519.sign(replyDigest(chain, session, listRoot(q.list), reply), service[i] ?? random(32))
    return encode(releaseReplySchema, reply)
  }
  const ciphertexts = new Map(sealed.flatMap((b) => b.ciphertexts.map((c, i) => [hex(b.entries[i]?.ciphertext ?? u32(0)), c] as const)))
  const cost = { custodians: 0 }
  const times: Record<string, number> = {}
  let clock = performance.now()
  const lap = (name: string) => {
    times[name] = Math.round(performance.now() - clock - cost.custodians)
    cost.custodians = 0
    clock = performance.now()
  }
  const dictionary = openDictionary(file(`seal/compress/dict/${dictionaryName}`))
  lap('dictionary')
  const r = new Reader({
    session,
    key,
    height: 1n,
    dictionary,
    facts: { chain, committee: async () => committee, anchored: async (h) => anchored(h) },
    custodians: {
      locate: async () => located,
      release: async (c, q) => {
        const from = performance.now() // what custodians do is not the wallet's time
        const out = release(committee.epoch.members.findIndex((m) => hex(m) === hex(c)), q)
        cost.custodians += performance.now() - from
        return out
      },
      ciphertext: async (_, a) => ciphertexts.get(hex(a)) ?? new Uint8Array(0),
    },
    commit: async () => ({ fetch: 1, height: 1n }),
  })
  const found = await r.locate()
  lap('locate')
  const got = await r.read(found)
  lap('read')
  const bad = got.records.filter((o) => o.body === undefined).length
  const receipts = vectors<{ genesis: unknown; cases: { name: string; receipt: string }[] }>('receipt/receipts.json')
  const log = receipts.cases.find((c) => c.name === 'access log')
  clock = performance.now()
  verifyFile(utf8(JSON.stringify(receipts.genesis)), bytesOf(log?.receipt ?? ''))
  lap('receipt')
  process.stdout.write(JSON.stringify({ records: got.records.length, bad, batches, milliseconds: times }) + '\n')
}
