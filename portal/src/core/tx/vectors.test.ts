import { describe, expect, test } from 'vitest'
import { bytesOf, vectors } from '../testing.ts'
import { equal, hex } from '../wire/bytes.ts'
import { codeOf } from '../wire/refusal.ts'
import { assemble, type Body, decodeEnvelope, digest, encodeBody, type Envelope } from './envelope.ts'
import { keyId, keyText, parseKey, type PublicKey, validateKey } from './key.ts'
import { accountText, parseAccount, parseHash } from './name.ts'
import { verifySignature } from './verify.ts'

interface EnvelopeFile {
  chain: string
  origins: string[]
  keys: string[]
  envelopes: { name: string; envelope: string; code: number; step?: string; id?: string; body?: Record<'chain' | 'kind' | 'payload' | 'signer' | 'nonce' | 'expiry', string> }[]
}

/** What a node does with an envelope, as far as the wire goes. */
function judge(f: EnvelopeFile, keys: PublicKey[], raw: Uint8Array): { step: string; code: number; envelope?: Envelope; body?: Body } {
  let decoded
  try {
    decoded = decodeEnvelope(raw)
  } catch (err) {
    return { step: 'decode', code: codeOf(err) ?? -1 }
  }
  const d = digest(decoded.envelope.body, f.chain)
  for (const s of decoded.envelope.signatures) {
    const key = keys.find((k) => equal(keyId(k), s.key))
    if (key === undefined) return { step: 'verify', code: 0x0022, ...decoded }
    try {
      verifySignature(key, d, s, { origins: f.origins, requireUV: true })
    } catch (err) {
      return { step: 'verify', code: codeOf(err) ?? -1, ...decoded }
    }
  }
  return { step: '', code: 0, ...decoded }
}

describe.each(['valid.json', 'invalid.json'])('%s', (name) => {
  const f = vectors<EnvelopeFile>(`tx/${name}`)
  const keys = f.keys.map(parseKey)
  test.each(f.envelopes.map((c) => [c.name, c] as const))('%s', (_, c) => {
    const got = judge(f, keys, bytesOf(c.envelope))
    expect({ step: got.step, code: got.code }).toEqual({ step: c.step ?? '', code: c.code })
    if (got.envelope !== undefined && got.body !== undefined) {
      expect(hex(assemble(got.envelope.body, got.envelope.signatures))).toBe(c.envelope)
      expect(hex(encodeBody(got.body))).toBe(hex(got.envelope.body))
      if (c.id !== undefined) expect(hex(digest(got.envelope.body, f.chain))).toBe(c.id)
      if (c.body !== undefined) {
        const b = got.body
        expect({ chain: b.chain, kind: b.kind, payload: hex(b.payload), signer: accountText(b.signer), nonce: `${b.nonce}`, expiry: `${b.expiry}` }).toEqual(c.body)
      }
    }
  })
})

test('keys have their ids, and only sound ones are taken', () => {
  const f = vectors<{ publicKeys: { name: string; alg: number; key: string; rpIdHash?: string; id: string; code: number }[] }>('tx/keys.json')
  for (const c of f.publicKeys) {
    const k = { alg: c.alg, key: bytesOf(c.key), rpIdHash: bytesOf(c.rpIdHash ?? '') }
    let code: number | undefined = 0
    try {
      validateKey(k)
      expect(parseKey(keyText(k))).toEqual(k)
    } catch (err) {
      code = codeOf(err)
    }
    expect([c.name, c.key, code]).toEqual([c.name, c.key, c.code])
    expect(hex(keyId(k))).toBe(c.id)
  }
})

test('texts have one form', () => {
  const f = vectors<{ texts: { kind: string; bytes?: string; text: string; code: number }[] }>('tx/text.json')
  for (const c of f.texts) {
    let code: number | undefined = 0
    try {
      const b = c.kind === 'account' ? parseAccount(c.text) : parseHash(c.text)
      expect(hex(b)).toBe(c.bytes)
      if (c.kind === 'account') expect(accountText(b)).toBe(c.text)
    } catch (err) {
      code = codeOf(err)
    }
    expect([c.text, code]).toEqual([c.text, c.code])
  }
})
