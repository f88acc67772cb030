/** Which records a session opened, as custodians tell its patient alone: spec/custody.md "Locate and openings". */
import type { KeyPair } from '../seal/hpke.ts'
import { unbox } from '../seal/hpke.ts'
import type { Signature } from '../tx/envelope.ts'
import { equal } from '../wire/bytes.ts'
import { decodeAny, encode } from '../wire/schema.ts'
import { answerInfo, type List, listRoot, openingsDigest, openingsRequestSchema, openingsSchema, sealedSchema, validList } from './message.ts'

/** Question is asked of every custodian with one signature by a live key of the patient over openingsDigest. */
export interface Question {
  readonly session: Uint8Array
  readonly key: KeyPair
  readonly signature: Signature
}

/** digestOf is what the patient signs to ask. */
export const digestOf = (chain: string, session: Uint8Array, key: KeyPair): Uint8Array => openingsDigest(chain, session, key.publicKey)

/** Opening is the list that a custodian says was fetch number n. */
export interface Opening {
  readonly fetch: number
  readonly list: List
}

/** askOpenings reads all pages of one custodian; call carries CBOR there and back. @throws what call throws, SealError, Refusal */
export async function askOpenings(q: Question, call: (request: Uint8Array) => Promise<Uint8Array>): Promise<Opening[]> {
  const out: Opening[] = []
  let after = 0
  for (let page = 0; page < 4097; page++) {
    const raw = await call(encode(openingsRequestSchema, { session: q.session, readerKey: q.key.publicKey, signature: q.signature, after }))
    const plain = unbox(q.key.seed, answerInfo('openings', q.session), decodeAny(sealedSchema, raw, raw.length).box)
    const p = decodeAny(openingsSchema, plain, plain.length)
    out.push(...p.lists)
    if (p.next <= after) break
    after = p.next
  }
  return out
}

/** verifyOpening reports whether a list is the one that the ledger's entry of the fetch commits to. */
export const verifyOpening = (o: Opening, root: Uint8Array, count: number): boolean => validList(o.list) && o.list.items.length === count && equal(listRoot(o.list), root)
