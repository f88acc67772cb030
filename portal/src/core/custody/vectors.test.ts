import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { beforeAll, describe, expect, test } from 'vitest'
import { dictionaryName, openDictionary } from '../seal/compress.ts'
import { keyPair } from '../seal/hpke.ts'
import { bytesOf, file, vectors } from '../testing.ts'
import { equal, hex, utf8 } from '../wire/bytes.ts'
import { Refusal } from '../wire/refusal.ts'
import { decodeAny, encode } from '../wire/schema.ts'
import { headerHash } from '../seal/header.ts'
import { notReleased } from './ask.ts'
import type { Located } from './locate.ts'
import {
  type Anchored,
  anchoredSchema,
  committeeSchema,
  heldBy,
  itemName,
  listRoot,
  locateRequestSchema,
  releaseReplySchema,
  releaseRequestSchema,
  replyDigest,
  sealedSchema,
} from './message.ts'
import { askOpenings, digestOf, verifyOpening } from './openings.ts'
import { type Committed, type Custodians, Moved, Reader, TooFew } from './reader.ts'

interface Vector {
  chain: string
  session: string
  readerSeed: string
  committee: string
  batches: { header: string; anchored: string; believed: boolean; ciphertexts: string[]; plain: string[] }[]
  locateRequest: string
  releaseRequest: string
  salt: string
  listRoot: string
  located: string[]
  released: string[]
  proven: string[]
  openingsDigest: string
  openings: string
  moved: {
    committee: string
    anchored: string[]
    located: string[]
    lists: MovedList[]
    after: { committee: string; anchored: string[]; list: MovedList }
  }
}

interface MovedList {
  epoch: number
  releaseRequest: string
  listRoot: string
  released: string[]
}

const v = vectors<Vector>('custody/session.json')
const session = bytesOf(v.session)
const key = keyPair(bytesOf(v.readerSeed))
const committee = decodeAny(committeeSchema, bytesOf(v.committee), 1 << 16)
const anchored = new Map(v.batches.map((b) => [b.header, decodeAny(anchoredSchema, bytesOf(b.anchored), 1 << 16)]))
const ciphertexts = new Map(v.batches.flatMap((b) => b.ciphertexts.map((c) => [hex(sha256(bytesOf(c))), bytesOf(c)] as const)))
const dictionary = openDictionary(file(`seal/compress/dict/${dictionaryName}`))
const plain = new Map(v.batches.flatMap((b) => b.plain.map((p, i) => [itemName({ header: bytesOf(b.header), index: i }), p] as const)))
const request = decodeAny(releaseRequestSchema, bytesOf(v.releaseRequest), 1 << 16)

/** What each of four custodians says, by its account. */
type Say = (i: number, request: Uint8Array) => Uint8Array

const index = (account: Uint8Array) => committee.epoch.members.findIndex((m) => equal(m, account))

function reader(say: { locate?: Say; release?: Say; anchored?: (h: Uint8Array) => Anchored | undefined; ciphertext?: (a: Uint8Array) => Uint8Array | undefined } = {}) {
  const requests: Uint8Array[] = []
  const custodians: Custodians = {
    locate: async (c, r) => (say.locate ?? ((i) => bytesOf(v.located[i] ?? '')))(index(c), r),
    release: async (c, r) => {
      requests.push(r)
      const wants = decodeAny(releaseRequestSchema, r, 1 << 20).proofs ? v.proven : v.released
      return (say.release ?? ((i) => bytesOf(wants[i] ?? '')))(index(c), r)
    },
    ciphertext: async (_, a) => {
      const ct = (say.ciphertext ?? ((x) => ciphertexts.get(hex(x))))(a)
      if (ct === undefined) throw new Error('nobody has it')
      return ct
    },
  }
  const r = new Reader({
    session,
    key,
    height: 11n,
    dictionary,
    custodians,
    facts: { chain: v.chain, committee: async () => committee, anchored: async (h) => (say.anchored ?? ((x) => anchored.get(hex(x))))(h) },
    commit: async () => ({ fetch: 1, height: 12n }),
  })
  return { r, requests }
}

/** The salt is random: the committed list of the vector is given by fixing it. */
beforeAll(() => {
  const real = crypto.getRandomValues.bind(crypto)
  crypto.getRandomValues = ((b: Uint8Array<ArrayBuffer>) => {
    if (b.length !== 32) return real(b)
    b.set(bytesOf(v.salt))
    return b
  }) as typeof crypto.getRandomValues
  return () => {
    crypto.getRandomValues = real
  }
})

const nothing = () => {
  throw new Refusal(notReleased, 'custody: nothing to release for this request')
}
const down = () => {
  throw new Error('unreachable')
}

describe('messages', () => {
  test('encode as Go encodes them', () => {
    expect(hex(encode(locateRequestSchema, { session, readerKey: key.publicKey, after: 0n, height: 11n }))).toBe(v.locateRequest)
    expect(hex(encode(releaseRequestSchema, request))).toBe(v.releaseRequest)
    expect(hex(listRoot(request.list))).toBe(v.listRoot)
    for (const b of v.batches) {
      const a = anchored.get(b.header)
      if (a === undefined) throw new Error('no batch')
      expect(hex(encode(anchoredSchema, a))).toBe(b.anchored)
      expect(hex(headerHash(a.put.header))).toBe(b.header)
    }
    expect(hex(encode(committeeSchema, committee))).toBe(v.committee)
    for (const [i, raw] of [...v.released, ...v.proven].entries()) {
      const r = decodeAny(releaseReplySchema, bytesOf(raw), 1 << 20)
      expect(hex(encode(releaseReplySchema, r))).toBe(raw)
      expect(ed25519.verify(r.signature, replyDigest(v.chain, session, bytesOf(v.listRoot), r), committee.keys[i % 4]?.[0] ?? new Uint8Array(32))).toBe(true)
    }
  })
})

describe('locate', () => {
  test('what one custodian alone names does not count', async () => {
    const got = await reader().r.locate()
    const want = v.batches.filter((b) => b.believed).flatMap((b) => b.plain.map((_, i) => itemName({ header: bytesOf(b.header), index: i })))
    expect(got.map((l) => itemName(l.item))).toEqual(want.sort())
  })

  test('a batch that is not ACTIVE, or of another header, does not count', async () => {
    expect(await reader({ anchored: () => undefined }).r.locate()).toEqual([])
    const other = anchored.get(v.batches[2]?.header ?? '')
    expect(await reader({ anchored: () => other }).r.locate()).toEqual([])
  })

  test('two that have nothing hide no record, and all that have nothing are no records', async () => {
    expect(await reader({ locate: (i) => (i < 2 ? nothing() : bytesOf(v.located[i] ?? '')) }).r.locate()).toHaveLength(6)
    expect(await reader({ locate: nothing }).r.locate()).toEqual([])
  })

  test('two that are down leave too few', async () => {
    await expect(reader({ locate: (i) => (i < 2 ? down() : bytesOf(v.located[i] ?? '')) }).r.locate()).rejects.toThrow(TooFew)
  })

  test('an answer for another session does not open', async () => {
    const c = reader({ locate: (i) => (i < 2 ? bytesOf(v.openings) : bytesOf(v.located[i] ?? '')) })
    await expect(c.r.locate()).rejects.toThrow(TooFew)
  })
})

describe('read', () => {
  const all = () => reader().r.locate()
  const bodies = (r: { records: readonly { located: Located; body?: Uint8Array }[] }) => r.records.map((o) => o.body && hex(o.body))
  const wanted = (ls: readonly Located[]) => ls.map((l) => plain.get(itemName(l.item)))

  test('all records open, and the custodian that lied is named', async () => {
    const located = await all()
    const { r, requests } = reader()
    const got = await r.read(located)
    expect(bodies(got)).toEqual(wanted(located))
    expect(got.bad.map((b) => [b.index, b.fault])).toEqual([[2, 'share']])
    expect(hex(requests[0] ?? new Uint8Array(0))).toBe(v.releaseRequest)
  })

  test('with one honest custodian down the liar is found by its proofs', async () => {
    const located = await all()
    const { r, requests } = reader({ release: (i, q) => (i === 3 ? down() : bytesOf((decodeAny(releaseRequestSchema, q, 1 << 20).proofs ? v.proven : v.released)[i] ?? '')) })
    await expect(r.read(located)).rejects.toThrow(expect.objectContaining({ fault: 'too-few', custodians: [2] }))
    expect(requests.length).toBe(8)
  })

  test('a reply with another signature, or of another custodian, is left out and named', async () => {
    const located = await all()
    const forged = decodeAny(releaseReplySchema, bytesOf(v.released[1] ?? ''), 1 << 20)
    forged.signature = forged.signature.map((b) => b ^ 1)
    const bad = await reader({ release: (i) => (i === 1 ? encode(releaseReplySchema, forged) : bytesOf(v.released[i] ?? '')) }).r.read(located)
    expect(bodies(bad)).toEqual(wanted(located))
    expect(bad.bad.map((b) => [b.index, b.fault])).toEqual([[2, 'signature']])
    const other = await reader({ release: (i) => bytesOf(v.released[i === 1 ? 0 : i] ?? '') }).r.read(located)
    expect(other.bad.map((b) => [b.index, b.fault])).toEqual([[2, 'index']])
  })

  test('a session that ended reads nothing, as if there were nothing', async () => {
    const got = await reader({ release: nothing }).r.read(await all())
    expect(got.records).toEqual([])
  })

  test('a ciphertext that nobody has, or another one, holds up no other record', async () => {
    const located = await all()
    const first = located[0]
    if (first === undefined) throw new Error('nothing located')
    for (const wrong of [undefined, utf8('another')]) {
      const got = await reader({ ciphertext: (a) => (equal(a, first.entry.ciphertext) ? wrong : ciphertexts.get(hex(a))) }).r.read(located)
      expect(got.records[0]?.error).toMatchObject({ fault: 'ciphertext' })
      expect(bodies(got).slice(1)).toEqual(wanted(located).slice(1))
    }
  })

  test('reading can be cancelled', async () => {
    const stop = new AbortController()
    stop.abort()
    await expect(reader().r.read(await all(), undefined, stop.signal)).rejects.toThrow()
  })
})

describe('while the shares pass to another committee', () => {
  const m = v.moved
  const notNow = 0x2107

  /** moving gives a reader whose ledger is in the second pass, and after the first renew behind it, if the change goes on. */
  function moving(c: { goesOn: boolean; slow?: number; over?: boolean }) {
    let after = false
    const asked: { epoch: bigint; custodian: number; proofs: boolean; raw: string }[] = []
    const roots: string[] = []
    const read = <T>(s: Parameters<typeof decodeAny<T>>[0], raw: string): T => decodeAny(s, bytesOf(raw), 1 << 16)
    const now = () => read(committeeSchema, after ? m.after.committee : m.committee)
    const committed = new Map<string, Committed>()
    const lists = () => (c.goesOn ? [m.after.list, ...m.lists.slice(1)] : m.lists)
    const r = new Reader({
      session,
      key,
      height: 11n,
      dictionary,
      committed,
      facts: {
        chain: v.chain,
        committee: async () => now(),
        anchored: async (h) => {
          const i = v.batches.findIndex((b) => b.header === hex(h))
          const raw = (after ? m.after.anchored : m.anchored)[i]
          return raw === undefined ? undefined : { ...read(anchoredSchema, raw), ...(c.over ? { epoch: 2n } : {}) }
        },
        renew: () => {
          after = c.goesOn
        },
      },
      custodians: {
        locate: async (a) => bytesOf(m.located[now().epoch.members.findIndex((x) => equal(x, a))] ?? ''),
        release: async (a, raw, signal) => {
          const q = decodeAny(releaseRequestSchema, raw, 1 << 20)
          const of = [now(), now().before].find((x) => x?.epoch.epoch === q.epoch)
          const i = of?.epoch.members.findIndex((x) => equal(x, a)) ?? -1
          asked.push({ epoch: q.epoch, custodian: i + 1, proofs: q.proofs, raw: hex(raw) })
          if (i + 1 === c.slow && !q.proofs) await new Promise((_, fail) => signal.addEventListener('abort', () => fail(new Error('not waited for'))))
          const l = lists().find((x) => BigInt(x.epoch) === q.epoch && x.listRoot === hex(listRoot(q.list)))
          if (l === undefined) throw new Refusal(notNow, 'custody: this custodian cannot decide now; ask again later')
          return bytesOf(l.released[i] ?? '')
        },
        ciphertext: async (_, a) => ciphertexts.get(hex(a)) ?? new Uint8Array(0),
      },
      commit: async (root) => ({ fetch: roots.push(hex(root)), height: 12n }),
    })
    return { r, asked, roots }
  }

  const bodies = (r: { records: readonly { body?: Uint8Array }[] }) => r.records.map((o) => o.body && hex(o.body))

  test('messages encode as Go encodes them', () => {
    for (const raw of [m.committee, m.after.committee]) expect(hex(encode(committeeSchema, decodeAny(committeeSchema, bytesOf(raw), 1 << 16)))).toBe(raw)
    for (const raw of [...m.anchored, ...m.after.anchored]) expect(hex(encode(anchoredSchema, decodeAny(anchoredSchema, bytesOf(raw), 1 << 16)))).toBe(raw)
    for (const l of [...m.lists, m.after.list]) expect(hex(encode(releaseRequestSchema, decodeAny(releaseRequestSchema, bytesOf(l.releaseRequest), 1 << 16)))).toBe(l.releaseRequest)
    expect(m.anchored.map((a) => heldBy(decodeAny(anchoredSchema, bytesOf(a), 1 << 16)))).toEqual([4n, 3n])
  })

  test.each([undefined, 4])('each list is of one epoch and asked of its custodians; who lies is named (slow: %s)', async (slow) => {
    const { r, asked, roots } = moving({ goesOn: false, ...(slow === undefined ? {} : { slow }) })
    const located = await r.locate()
    const got = await r.read(located)
    expect(bodies(got)).toEqual(located.map((l) => plain.get(itemName(l.item))))
    expect(roots).toEqual(m.lists.map((l) => l.listRoot))
    for (const l of m.lists) expect(asked.filter((a) => a.epoch === BigInt(l.epoch) && !a.proofs).map((a) => a.raw)).toEqual(l.released.map(() => l.releaseRequest))
    expect(got.bad.map((b) => [b.index, b.fault])).toEqual([[2, 'share']])
    // With the liar among the first to answer, all are asked again, and nobody for proofs of an epoch that the author dealt nothing to.
    expect(asked.filter((a) => a.proofs).length).toBe(slow === undefined ? 0 : 5)
  })

  test('records that move between locate and read are read from who holds them now, with the list that is committed', async () => {
    const { r, asked, roots } = moving({ goesOn: true })
    const located = await r.locate()
    const got = await r.read(located)
    expect(bodies(got)).toEqual(located.map((l) => plain.get(itemName(l.item))))
    expect(roots).toEqual(m.lists.map((l) => l.listRoot))
    expect(asked.some((a) => a.epoch === 3n)).toBe(true)
    expect(asked.filter((a) => a.epoch === 4n && a.raw === m.after.list.releaseRequest).length).toBe(5)
  })

  test('an epoch that is over, of which the ledger says nothing else, is an error', async () => {
    const { r, asked } = moving({ goesOn: false, over: true })
    await expect(r.read(await r.locate())).rejects.toThrow(Moved)
    expect(asked).toEqual([])
  })
})

test('openings are the lists that the ledger commits to', async () => {
  expect(hex(digestOf(v.chain, session, key))).toBe(v.openingsDigest)
  const signature = { account: new Uint8Array(16), key: new Uint8Array(16), alg: 1, sig: new Uint8Array(64), authData: new Uint8Array(0), clientData: new Uint8Array(0) }
  const got = await askOpenings({ session, key, signature }, async () => bytesOf(v.openings))
  expect(got.map((o) => [o.fetch, o.list.items.length])).toEqual([[1, 6]])
  const o = got[0]
  if (o === undefined) throw new Error('no list')
  expect(verifyOpening(o, bytesOf(v.listRoot), 6)).toBe(true)
  expect(verifyOpening(o, bytesOf(v.listRoot), 5)).toBe(false)
  o.list.items.reverse()
  expect(verifyOpening(o, bytesOf(v.listRoot), 6)).toBe(false)
  expect(decodeAny(sealedSchema, bytesOf(v.openings), 1 << 20).box.length).toBeGreaterThan(1136)
})
