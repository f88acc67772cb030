/** For tests alone: random messages of the kinds that people sign, each valid by itself. */
import { ed25519 } from '@noble/curves/ed25519.js'
import fc, { type Arbitrary } from 'fast-check'
import { algEd25519, type PublicKey } from './key.ts'
import { compare } from '../wire/bytes.ts'
import type { Kind, MessageOf, RecoveryProof } from './message.ts'

const bytes = (n: number) => fc.uint8Array({ minLength: n, maxLength: n }).map((b) => Uint8Array.from(b))
const some = (n: number) => bytes(n).map((b) => (b.every((x) => x === 0) ? b.fill(1) : b))
const account = some(16)
const hash = some(32)
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const positive = fc.bigInt({ min: 1n, max: (1n << 64n) - 1n })
const key: Arbitrary<PublicKey> = bytes(32).map((seed) => ({ alg: algEd25519, key: ed25519.getPublicKey(seed), rpIdHash: new Uint8Array(0) }))
const keys = (min: number) => fc.uniqueArray(key, { minLength: min, maxLength: 4, selector: (k) => k.key.join() })
const role = fc.stringMatching(/^[A-Za-z0-9._|:/-]{1,64}$/)
// The ledger orders roles as bytes; they are ASCII, so their order as strings is the same.
const roles = fc.uniqueArray(role, { maxLength: 5 }).map((r) => r.sort((a, b) => (a < b ? -1 : 1)))

const maskOf = (n: number): Arbitrary<bigint> =>
  fc.shuffledSubarray(
    Array.from({ length: 64 }, (_, i) => BigInt(i)),
    { minLength: n, maxLength: n },
  ).map((slots) => slots.reduce((m, s) => m | (1n << s), 0n))
const purposes = fc.bigInt({ min: 1n, max: (1n << 59n) - 1n }).map((p) => p << 1n)
const period = fc.tuple(fc.bigInt({ min: 0n, max: 1n << 40n }), fc.bigInt({ min: 1n, max: 1n << 40n }), fc.boolean()).map(([from, long, open]) => ({ notBefore: from, notAfter: open ? 0n : from + long }))
const form = fc.tuple(fc.boolean(), hash).map(([recorded, document]) => ({ recorded, document: recorded ? document : new Uint8Array(32) }))
const terms = fc.tuple(maskOf(32), maskOf(24), purposes, period, form).map(([mask, except, p, t, f]) => ({ mask, except, purposes: p, ...t, ...f }))
const none = new Uint8Array(16)
const grantee = fc.oneof(
  fc.constant({ kind: 1, account: none, role: '' }),
  fc.tuple(fc.oneof(account, fc.constant(none)), role).map(([a, r]) => ({ kind: 2, account: a, role: r })),
  fc.tuple(fc.constantFrom(3, 4), account).map(([kind, a]) => ({ kind, account: a, role: '' })),
)
const granted = fc.tuple(positive, grantee, terms, fc.integer({ min: 0, max: 65535 })).map(([version, g, t, uses]) => ({ version, grantee: g, ...t, uses }))
const delegate = fc.oneof(fc.constant(new Uint8Array(0)), key.map((k) => k.key))
const list = fc.tuple(hash, fc.integer({ min: 1, max: 4096 })).map(([root, count]) => ({ root, count }))
const noList = fc.constant({ root: new Uint8Array(32), count: 0 })

const byBytes = (l: Uint8Array[]): Uint8Array[] => l.sort(compare)
const hashes = fc.uniqueArray(hash, { minLength: 2, maxLength: 16, selector: (h) => h.join() }).map(byBytes)
const ids = fc.uniqueArray(bytes(16), { maxLength: 8, selector: (h) => h.join() }).map(byBytes)
const proof: Arbitrary<RecoveryProof | undefined> = fc.oneof(
  fc.constant(undefined),
  hash.map((salt) => ({ salt, key: undefined, signature: undefined })),
  fc.tuple(hash, key, bytes(16), bytes(64)).map(([salt, k, keyOf, sig]) => ({ salt, key: k, signature: { account: none, key: keyOf, alg: algEd25519, sig, authData: new Uint8Array(0), clientData: new Uint8Array(0) } })),
)

type Made = { [K in Kind]?: Arbitrary<MessageOf<K>> }

/** arbitraries by kind */
export const arbitraries = {
  'identity.register': fc.record({ account, class: fc.constantFrom(2, 3), keys: keys(1), roles, privileges: fc.integer({ min: 0, max: 31 }), credential: bytes(32) }),
  'identity.update': fc.record({ account, roles, privileges: fc.integer({ min: 0, max: 31 }), active: fc.boolean() }),
  'identity.enrol': fc.record({ patient: account, keys: keys(0), claim: bytes(32) }),
  'identity.claim': fc.tuple(account, keys(2)).map(([patient, [a, b]]) => ({ patient, key: a as PublicKey, claimKey: b as PublicKey })),
  'identity.rotate': fc.record({ account, add: keys(1), revoke: fc.array(bytes(16), { maxLength: 8 }) }),
  'consent.grant': fc.tuple(account, some(16), granted).map(([patient, id, g]) => ({ patient, grant: { id, ...g } })),
  'consent.revoke': fc.record({ patient: account, id: bytes(16) }),
  'consent.change': fc.tuple(account, fc.uniqueArray(fc.tuple(some(16), fc.option(granted, { nil: undefined })), { minLength: 1, maxLength: 6, selector: ([id]) => id.join() })).map(([patient, all]) => {
    all.sort(([a], [b]) => compare(a, b))
    return { patient, revoke: all.filter(([, g]) => g === undefined).map(([id]) => id), give: all.flatMap(([id, g]) => (g === undefined ? [] : [{ id, ...g }])) }
  }),
  'consent.proxy': fc.tuple(account, account, positive, terms, fc.boolean()).map(([patient, a, version, t, active]) => {
    a[0] = (patient[0] ?? 0) ^ 1 // another person
    return { patient, proxy: { account: a, version, ...t }, active }
  }),
  'access.request': fc
    .tuple(account, fc.integer({ min: 1, max: 59 }).filter((p) => p !== 3), positive, hash, positive, fc.oneof(list, noList), delegate) // 3: BTG
    .map(([patient, purpose, mask, readerKey, ttl, l, d]) => ({ patient, purpose, mask, readerKey, ttl, ...l, delegate: d })),
  'access.fetch': fc.tuple(hash, list).map(([session, l]) => ({ session, ...l })),
  'access.close': fc.record({ session: hash }),
  'access.recover': fc.record({ patient: account, case: hash, readerKey: hash, ttl: positive, delegate }),
  'emergency.directive': fc.record({ patient: account, version: positive, set: maskOf(32), more: maskOf(32), except: maskOf(24) }),
  'emergency.attest': fc.record({ case: hash, account: hash }),
  'emergency.review': fc.record({ case: hash, verdict: fc.integer({ min: 1, max: 3 }), findings: hash }),
  'emergency.dispute': fc.record({ case: hash }),
  'erasure.request': fc.tuple(account, fc.integer({ min: 1, max: 3 }), hash, hash, bytes(32)).map(([patient, scope, batch, leaf, ground]) => ({
    patient, scope, batch: scope === 3 ? new Uint8Array(32) : batch, leaf: scope === 1 ? leaf : new Uint8Array(32), ground,
  })),
  'recovery.guardians': fc.tuple(account, positive, hashes, fc.boolean()).map(([patient, version, commitments, have]) => ({ patient, version, threshold: have ? 2 : 0, commitments: have ? commitments : [] })),
  'recovery.request': fc.tuple(account, positive, keys(1), ids, hash, proof).map(([patient, number, k, revoke, document, p]) => ({
    terms: { patient, number, kind: 1, keys: k, revoke, document: p === undefined ? document : new Uint8Array(32), executor: undefined }, proof: p,
  })),
  'recovery.approve': fc.record({ case: hash, proof }),
  'recovery.cancel': fc.record({ case: hash }),
  'recovery.finish': fc.record({ case: hash }),
} satisfies Made

/** terms of a body */
export const bodyTerms = fc.record({ chain: fc.stringMatching(/^[a-z0-9-]{1,40}$/), signer: account, nonce: u64, expiry: u64 })

/** One random kind with its message. */
export const anyMessage: Arbitrary<{ kind: Kind; message: MessageOf<Kind> }> = fc.oneof(
  ...Object.entries(arbitraries).map(([kind, a]) => (a as Arbitrary<MessageOf<Kind>>).map((message) => ({ kind: kind as Kind, message }))),
)
