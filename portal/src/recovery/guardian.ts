/**
 * Guardians as commitments (spec/recovery.md section 2), the cards that open them, and the ids of
 * cases. A card is a file; `salus recovery` reads and writes the same.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { accountText, compare, concat, ed25519Key, encode, equal, hex, keyId, parseAccount, parseHash, type PublicKey, type RecoveryTerms, recoveryTerms, type RecoveryProof, u64, unhex, utf8, algEd25519 } from '../core'

/** Card is what a guardian keeps: her account, or the seed of a key of her own. */
export interface Card {
  readonly patient: Uint8Array
  readonly salt: Uint8Array
  readonly account?: Uint8Array
  readonly seed?: Uint8Array
}

/** CardError: the file is no card. */
export class CardError extends Error {
  constructor() {
    super('recovery: not a guardian’s card')
    this.name = 'CardError'
  }
}

/** shown is how many commitments the ledger shows at least; the rest are dummies, so that it does not tell how many people she trusts. */
const shown = 8
/** At most this many guardians are named, and at least this many it takes (spec/tx-recovery.cddl). */
export const maxGuardians = 16
export const minThreshold = 2

const commit = (salt: Uint8Array, patient: Uint8Array, what: 1 | 2, who: Uint8Array): Uint8Array =>
  sha256(concat(utf8('salus/guardian/v1\0'), salt, patient, new Uint8Array([what]), who))

const keyOf = (seed: Uint8Array): PublicKey => ed25519Key(ed25519.getPublicKey(seed))

/** commitmentOf is what the ledger holds of a card. */
export const commitmentOf = (c: Card): Uint8Array =>
  c.account === undefined ? commit(c.salt, c.patient, 2, keyId(keyOf(c.seed ?? new Uint8Array(32)))) : commit(c.salt, c.patient, 1, c.account)

const random = (n: number) => crypto.getRandomValues(new Uint8Array(n))

/** cardFor draws the card of a guardian with that account, or of one who gets a key on paper. */
export const cardFor = (patient: Uint8Array, account?: Uint8Array): Card =>
  account === undefined ? { patient, salt: random(32), seed: random(32) } : { patient, salt: random(32), account }

/** commitmentsOf are those of all cards, filled up with dummies, in their order. */
export function commitmentsOf(cards: readonly Card[]): Uint8Array[] {
  const all = cards.map(commitmentOf)
  while (all.length < shown) all.push(random(32))
  return all.sort(compare)
}

const base64 = (b: Uint8Array) => btoa(String.fromCharCode(...b))

/** cardText writes a card's file. */
export const cardText = (c: Card): string =>
  JSON.stringify({ patient: accountText(c.patient), salt: hex(c.salt), ...(c.account === undefined ? { seed: base64(c.seed ?? new Uint8Array(0)) } : { account: accountText(c.account) }) }, undefined, 2) + '\n'

/** parseCard reads a card's file. @throws CardError */
export function parseCard(text: string): Card {
  try {
    const v = JSON.parse(text) as Record<string, unknown>
    const patient = parseAccount(String(v['patient']))
    const salt = parseHash(String(v['salt']))
    if (typeof v['account'] === 'string' && v['seed'] === undefined) return { patient, salt, account: parseAccount(v['account']) }
    if (typeof v['seed'] === 'string' && v['account'] === undefined) {
      const seed = Uint8Array.from(atob(v['seed']), (c) => c.charCodeAt(0))
      if (seed.length === 32) return { patient, salt, seed }
    }
  } catch {
    // no card, whatever else it is
  }
  throw new CardError()
}

/** caseId names a case: SHA-256("salus/recovery/v1" 00, length of the chain's id in 8 bytes, chain, terms). */
export const caseId = (chain: string, t: RecoveryTerms): Uint8Array => sha256(concat(utf8('salus/recovery/v1\0'), u64(utf8(chain).length), utf8(chain), encode(recoveryTerms, t)))

/** proofOf shows that the card's holder is a guardian, for this case. A card's own key signs the case's id. */
export function proofOf(c: Card, id: Uint8Array): RecoveryProof {
  if (c.seed === undefined) return { salt: c.salt, key: undefined, signature: undefined }
  const key = keyOf(c.seed)
  return { salt: c.salt, key, signature: { account: new Uint8Array(16), key: keyId(key), alg: algEd25519, sig: ed25519.sign(id, c.seed), authData: new Uint8Array(0), clientData: new Uint8Array(0) } }
}

/** termsFor asks for new keys of a patient, without papers: as guardians do. Her old keys end, all of them. */
export const termsFor = (patient: Uint8Array, number: bigint, key: PublicKey): RecoveryTerms => ({ patient, number, kind: 1, keys: [key], revoke: [], document: new Uint8Array(32), executor: undefined })

/** keyIdOfCard is of a card's own key, undefined for a guardian with an account. */
export const keyIdOfCard = (c: Card): Uint8Array | undefined => (c.seed === undefined ? undefined : keyId(keyOf(c.seed)))

/** Asked is what somebody without keys tells her guardians, or her organisation. */
export interface Asked {
  readonly account: Uint8Array
  readonly key: PublicKey
}

const prefix = 'salus-recover'
const checkOf = (b: Uint8Array) => sha256(concat(utf8('salus/recover-code/v1\0'), b)).subarray(0, 4)

/** askedText writes it as one line: account, key of the new device, and a check against slips. Nothing in it is secret. */
export function askedText(a: Asked): string {
  const b = concat(a.account, a.key.key, a.key.rpIdHash)
  return `${prefix}:${hex(concat(b, checkOf(b)))}`
}

/** parseAsked reads that line; undefined for any other. */
export function parseAsked(text: string): Asked | undefined {
  const b = unhex(text.replace(/\s/g, '').replace(`${prefix}:`, '').toLowerCase())
  if (b?.length !== 16 + 64 + 32 + 4 || !equal(b.slice(112), checkOf(b.slice(0, 112)))) return undefined
  return { account: b.slice(0, 16), key: { alg: 2, key: b.slice(16, 80), rpIdHash: b.slice(80, 112) } }
}

/** spoken is the name of a key, to be compared by ear or eye: the first half of its id in groups. */
export const spoken = (key: PublicKey): string => hex(keyId(key)).slice(0, 16).replace(/(.{4})(?=.)/g, '$1 ')
