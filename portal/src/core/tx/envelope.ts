/** The envelope and the body of a transaction: spec/tx.md sections 2 and 3, spec/tx.cddl. */
import { sha256 } from '@noble/hashes/sha2.js'
import { compare, concat, isZero, u64 as be64, utf8 } from '../wire/bytes.ts'
import { bytes, decode, encode, type Infer, list, opt, struct, text, u64, u8 } from '../wire/schema.ts'
import { badKind, duplicateSignature, fieldLength, missingSignature, signatureOrder, tooManySignatures, unknownAlgorithm } from './codes.ts'
import { algEd25519, algPasskey } from './key.ts'
import { accountSchema, keyIdSchema } from './name.ts'

export const bodySchema = struct({ chain: [1, text], kind: [2, text], payload: [3, bytes], signer: [4, accountSchema], nonce: [5, u64], expiry: [6, u64] })

/** Body is what is signed; payload is the canonical CBOR of the message of that kind, expiry a height. */
export type Body = Infer<typeof bodySchema>

export const signatureSchema = struct({
  account: [1, accountSchema],
  key: [2, keyIdSchema],
  alg: [3, u8],
  sig: [4, bytes],
  authData: [5, opt(bytes)],
  clientData: [6, opt(bytes)],
})

/** Signature is one account's over the digest: R || S, or r || s with low s and the assertion's two byte strings. */
export type Signature = Infer<typeof signatureSchema>

const envelopeSchema = struct({ body: [1, bytes], signatures: [2, list(signatureSchema)] })

/** Envelope is a transaction as it travels. */
export type Envelope = Infer<typeof envelopeSchema>

const maxChain = 50
const maxSignatures = 8

/** validateKind reports bad-kind unless the kind is "<module>.<verb>". @throws Refusal */
export function validateKind(kind: string): void {
  if (kind.length > 48 || !/^[a-z][a-z0-9]*\.[a-z][a-z0-9]*$/.test(kind)) throw badKind()
}

/** validateBody checks lengths and forms, not the payload. @throws Refusal */
export function validateBody(b: Body): void {
  const n = utf8(b.chain).length
  if (n === 0 || n > maxChain || b.payload.length === 0 || isZero(b.signer)) throw fieldLength()
  validateKind(b.kind)
}

/** validateSignature checks lengths and forms; it verifies nothing. @throws Refusal */
export function validateSignature(s: Signature): void {
  if (s.sig.length !== 64) throw fieldLength()
  if (s.alg === algEd25519) {
    if (s.authData.length !== 0 || s.clientData.length !== 0) throw fieldLength()
  } else if (s.alg === algPasskey) {
    if (s.authData.length < 37 || s.authData.length > 512 || s.clientData.length === 0 || s.clientData.length > 1024) throw fieldLength()
  } else throw unknownAlgorithm()
}

const order = (a: Signature, b: Signature): number => compare(a.account, b.account) || compare(a.key, b.key)

function validateEnvelope(e: Envelope): void {
  if (e.signatures.length === 0) throw missingSignature()
  if (e.signatures.length > maxSignatures) throw tooManySignatures()
  let before: Signature | undefined
  for (const s of e.signatures) {
    validateSignature(s)
    if (before !== undefined) {
      const c = order(before, s)
      if (c === 0) throw duplicateSignature()
      if (c > 0) throw signatureOrder()
    }
    before = s
  }
}

/** decodeEnvelope decodes a transaction and checks its form, as a node does first. No signature is verified. @throws Refusal */
export function decodeEnvelope(raw: Uint8Array): { envelope: Envelope; body: Body } {
  const envelope = decode(envelopeSchema, raw)
  validateEnvelope(envelope)
  const body = decode(bodySchema, envelope.body)
  validateBody(body)
  return { envelope, body }
}

/**
 * digest names a transaction: SHA-256("salus/tx/v1" 00 || len(chain) in 8 bytes
 * || chain || body). It is the id, what each signature signs, and the challenge
 * of a passkey.
 */
export function digest(body: Uint8Array, chain: string): Uint8Array {
  const c = utf8(chain)
  return sha256(concat(utf8('salus/tx/v1\0'), be64(c.length), c, body))
}

/** encodeBody encodes and checks a body. @throws Refusal, TypeError */
export function encodeBody(b: Body): Uint8Array {
  validateBody(b)
  return encode(bodySchema, b)
}

/** assemble puts signatures around a body, in their order, and checks the form of the whole. @throws Refusal */
export function assemble(body: Uint8Array, signatures: readonly Signature[]): Uint8Array {
  const raw = encode(envelopeSchema, { body, signatures: [...signatures].sort(order) })
  decodeEnvelope(raw)
  return raw
}
