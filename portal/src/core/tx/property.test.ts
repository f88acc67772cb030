import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { sha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { base64url, concat, equal, hex, utf8 } from '../wire/bytes.ts'
import { encode as encodeNode, NodeMap, type Node } from '../wire/cbor.ts'
import { codeOf, Refusal } from '../wire/refusal.ts'
import { decode, encode, type Schema } from '../wire/schema.ts'
import { anyMessage, bodyTerms } from './arbitrary.ts'
import { digest } from './envelope.ts'
import { ed25519Key, keyId, passkeyKey } from './key.ts'
import { messages, schemaOf } from './message.ts'
import { normalizeES256 } from './passkey.ts'
import { claimCommit, claimSigner, decodeTransaction, ed25519Signer, prepare, sign } from './sign.ts'
import { verifySignature } from './verify.ts'
import { registered, signatureOf } from './webauthn.ts'

test('a message decodes from its encoding, and from no other', () => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ kind, message }, at, flip) => {
      const b = encode(schemaOf(kind), message)
      expect(decode(schemaOf(kind), b)).toEqual(message)
      const bad = b.slice()
      bad[at % b.length] = (bad[at % b.length] ?? 0) ^ flip
      try {
        expect(hex(encode(schemaOf(kind), decode(schemaOf(kind), bad)))).toBe(hex(bad))
      } catch (err) {
        if (!(err instanceof Refusal)) throw err
      }
    }),
    { numRuns: 300 },
  )
})

test('random bytes decode to nothing, or to what encodes to them', () => {
  const schemas: Schema<unknown>[] = Object.values(messages)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat({ max: schemas.length - 1 }), (raw, i) => {
      const b = Uint8Array.from(raw)
      const s = schemas[i]
      if (s === undefined) return
      try {
        expect(equal(encode(s, decode(s, b)), b)).toBe(true)
      } catch (err) {
        if (!(err instanceof Refusal)) throw err
      }
    }),
    { numRuns: 2000 },
  )
})

test('a signed transaction decodes, names its id and verifies', async () => {
  await fc.assert(
    fc.asyncProperty(anyMessage, bodyTerms, fc.uint8Array({ minLength: 32, maxLength: 32 }), async ({ kind, message }, terms, seed) => {
      const signer = ed25519Signer(terms.signer, Uint8Array.from(seed))
      const p = prepare(kind, message, terms)
      const { raw, id } = await sign(p, signer)
      const got = decodeTransaction(raw)
      expect(got.kind).toBe(kind)
      expect(got.message).toEqual(message)
      expect(hex(got.id)).toBe(hex(id))
      const s = got.envelope.signatures[0]
      if (s === undefined) throw new Error('no signature')
      verifySignature(signer.key, id, s, { origins: [], requireUV: true })
      const other = digest(got.envelope.body, terms.chain + 'x')
      expect(() => verifySignature(signer.key, other, s, { origins: [], requireUV: true })).toThrow(Refusal)
    }),
    { numRuns: 40 },
  )
})

const origin = 'https://portal.example'

/** An authenticator with a browser in front of it: DER signatures with either s. */
function authenticator(seed: Uint8Array, flags = 0x1d) {
  const point = p256.getPublicKey(seed, false)
  const key = passkeyKey(point.slice(1), 'portal.example')
  const assert = (challenge: Uint8Array, high: boolean) => {
    const authenticatorData = concat(key.rpIdHash, new Uint8Array([flags, 0, 0, 0, 0]))
    const clientDataJSON = utf8(`{"type":"webauthn.get","challenge":"${base64url(challenge)}","origin":"${origin}","crossOrigin":false}`)
    const s = p256.Signature.fromBytes(p256.sign(concat(authenticatorData, sha256(clientDataJSON)), seed, { lowS: true }))
    const signature = (high ? new p256.Signature(s.r, p256.Point.Fn.ORDER - s.s) : s).toBytes('der')
    return { authenticatorData, clientDataJSON, signature }
  }
  return { key, point, assert }
}

test('an assertion with either s becomes the one signature of the ledger', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ minLength: 32, maxLength: 32 }), (a, b) => {
      const seed = sha256(Uint8Array.from(a))
      const d = Uint8Array.from(b)
      const auth = authenticator(seed)
      const account = new Uint8Array(16).fill(7)
      const policy = { origins: [origin], requireUV: true }
      const low = signatureOf(account, auth.key, d, auth.assert(d, false), policy)
      const high = signatureOf(account, auth.key, d, auth.assert(d, true), policy)
      expect(hex(high.sig)).toBe(hex(low.sig))
    }),
    { numRuns: 20 },
  )
})

test('an assertion without user verification, for another transaction or origin is refused with its code', () => {
  const seed = sha256(utf8('seed'))
  const d = sha256(utf8('transaction'))
  const account = new Uint8Array(16).fill(7)
  const code = (f: () => unknown) => {
    try {
      f()
      return 0
    } catch (err) {
      return codeOf(err)
    }
  }
  const a = authenticator(seed)
  const policy = { origins: [origin], requireUV: true }
  expect(code(() => signatureOf(account, a.key, d, a.assert(d, false), policy))).toBe(0)
  expect(code(() => signatureOf(account, a.key, d, authenticator(seed, 0x19).assert(d, false), policy))).toBe(0x001b)
  expect(code(() => signatureOf(account, a.key, sha256(d), a.assert(d, false), policy))).toBe(0x0019)
  expect(code(() => signatureOf(account, a.key, d, a.assert(d, false), { ...policy, origins: ['https://other.example'] }))).toBe(0x001a)
  expect(code(() => signatureOf(account, authenticator(sha256(seed)).key, d, a.assert(d, false), policy))).toBe(0x0014)
})

test('only DER of one signature is normalized', () => {
  const der = p256.Signature.fromBytes(p256.sign(utf8('x'), sha256(utf8('k')))).toBytes('der')
  normalizeES256(der)
  for (const bad of [der.slice(1), der.slice(0, -1), concat(der, new Uint8Array(1)), new Uint8Array(0), der.map((b, i) => (i === 2 ? 3 : b))]) {
    expect(() => normalizeES256(bad)).toThrow(Refusal)
  }
})

test('a new passkey gives its key from the attestation object, ES256 alone', () => {
  const a = authenticator(sha256(utf8('new')))
  const cose = (alg: bigint): Node =>
    new NodeMap([
      [1n, 2n],
      [3n, alg],
      [-1n, 1n],
      [-2n, a.point.slice(1, 33)],
      [-3n, a.point.slice(33)],
    ])
  const object = (alg: bigint, rp = a.key.rpIdHash) => {
    const authData = concat(rp, new Uint8Array([0x5d, 0, 0, 0, 0]), new Uint8Array(16), new Uint8Array([0, 3, 1, 2, 3]), encodeNode(cose(alg)))
    return encodeNode(
      new NodeMap([
        ['fmt', 'none'],
        ['attStmt', new NodeMap([])],
        ['authData', authData],
      ]),
    )
  }
  const r = registered(object(-7n), 'portal.example')
  expect(r.key).toEqual(a.key)
  expect([hex(r.credentialId), r.userVerified, r.backupEligible]).toEqual(['010203', true, true])
  expect(() => registered(object(-8n), 'portal.example')).toThrow(expect.objectContaining({ code: 0x000a }))
  expect(() => registered(object(-7n, sha256(utf8('other'))), 'portal.example')).toThrow(expect.objectContaining({ code: 0x0016 }))
})

test('a claim is signed by the new key and by the claim key', async () => {
  const patient = new Uint8Array(16).fill(3)
  const claim = claimSigner(patient, sha256(utf8('secret')))
  const own = ed25519Signer(patient, sha256(utf8('own')))
  const p = prepare('identity.claim', { patient, key: own.key, claimKey: claim.key }, { chain: 'c', signer: patient, nonce: 1n, expiry: 9n })
  const { raw } = await sign(p, own, claim)
  const got = decodeTransaction(raw)
  expect(got.envelope.signatures.map((s) => hex(s.key)).sort()).toEqual([own.key, claim.key].map((k) => hex(keyId(k))).sort())
  expect(claimCommit(claim.key)).toHaveLength(32)
  expect(ed25519Key(ed25519.getPublicKey(sha256(utf8('own'))))).toEqual(own.key)
})
