/** Making transactions: body, digest, signatures, envelope. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, utf8 } from '../wire/bytes.ts'
import { decode, encode } from '../wire/schema.ts'
import { unknownKind } from './codes.ts'
import { assemble, type Body, decodeEnvelope, digest, encodeBody, type Envelope, type Signature } from './envelope.ts'
import { algEd25519, ed25519Key, keyId, type PublicKey } from './key.ts'
import { isKind, type Kind, type MessageOf, schemaOf } from './message.ts'
import { validate } from './validate.ts'

/** Prepared is a transaction without signatures: id is its digest, and the challenge of a passkey. */
export interface Prepared {
  readonly body: Uint8Array
  readonly id: Uint8Array
}

/** A Signer signs digests for one account with one key. */
export interface Signer {
  readonly account: Uint8Array
  readonly key: PublicKey
  sign(digest: Uint8Array): Promise<Signature>
}

/** Terms are what a transaction says beside its message; expiry is the last height at which it may be included. */
export interface Terms {
  readonly chain: string
  readonly signer: Uint8Array
  readonly nonce: bigint
  readonly expiry: bigint
}

/** prepare validates and encodes a message and its body. @throws Refusal */
export function prepare<K extends Kind>(kind: K, message: MessageOf<K>, terms: Terms): Prepared {
  validate(kind, message)
  const payload = encode(schemaOf(kind), message)
  const body = encodeBody({ chain: terms.chain, kind, payload, signer: terms.signer, nonce: terms.nonce, expiry: terms.expiry })
  return { body, id: digest(body, terms.chain) }
}

/** sign has every signer sign and returns the envelope with its id. @throws Refusal, and what the signers throw */
export async function sign(p: Prepared, ...signers: readonly Signer[]): Promise<{ raw: Uint8Array; id: Uint8Array }> {
  const signatures: Signature[] = []
  for (const s of signers) signatures.push(await s.sign(p.id)) // one after the other: each may ask the user
  return { raw: assemble(p.body, signatures), id: p.id }
}

/** Decoded is a transaction with its message. */
export interface Decoded {
  readonly envelope: Envelope
  readonly body: Body
  readonly kind: Kind
  readonly message: MessageOf<Kind>
  readonly id: Uint8Array
}

/** decodeTransaction decodes envelope, body and payload, and validates the message. No signature is verified. @throws Refusal */
export function decodeTransaction(raw: Uint8Array): Decoded {
  const { envelope, body } = decodeEnvelope(raw)
  if (!isKind(body.kind)) throw unknownKind()
  const message = decode(schemaOf(body.kind), body.payload)
  validate(body.kind, message)
  return { envelope, body, kind: body.kind, message, id: digest(envelope.body, body.chain) }
}

/** ed25519Signer signs with a seed of 32 bytes that stays in memory: a delegated session key, or a claim secret. */
export function ed25519Signer(account: Uint8Array, seed: Uint8Array): Signer {
  const key = ed25519Key(ed25519.getPublicKey(seed))
  return {
    account,
    key,
    sign: (d) => Promise.resolve({ account, key: keyId(key), alg: algEd25519, sig: ed25519.sign(d, seed), authData: new Uint8Array(0), clientData: new Uint8Array(0) }),
  }
}

/** claimCommit is what an enrolment commits to: SHA-256("salus/claim/v1" 00 || claim key). spec/tx-identity.cddl */
export const claimCommit = (claimKey: PublicKey): Uint8Array => sha256(concat(utf8('salus/claim/v1\0'), claimKey.key))

/** claimSigner signs a claim with the claim secret, the seed of the claim key. */
export const claimSigner = (patient: Uint8Array, secret: Uint8Array): Signer => ed25519Signer(patient, secret)
