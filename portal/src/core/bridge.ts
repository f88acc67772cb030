/**
 * For tests alone: answers the questions of portal/core_test.go, one JSON value a
 * line, so that Go and TypeScript read each other's random transactions.
 */
import { p256 } from '@noble/curves/nist.js'
import { sha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { createInterface } from 'node:readline'
import { actions } from './ledger/audit.ts'
import { directiveSchema, emergencyCaseSchema, erasureCaseSchema, erasureCertificateSchema, erasureHoldsSchema, recoveryCaseSchema, recoveryPatientSchema } from './ledger/rows.ts'
import { anyMessage, bodyTerms } from './tx/arbitrary.ts'
import { assemble, digest } from './tx/envelope.ts'
import { keyText, parseKey, passkeyKey } from './tx/key.ts'
import { isKind, recoveryRequest, schemaOf } from './tx/message.ts'
import { openSlotMap } from './consent/slots.ts'
import { stated } from '../duty/statement.ts'
import { directive } from '../emergency/case.ts'
import { cardText, caseId, commitmentOf, parseCard, proofOf, termsFor } from '../recovery/guardian.ts'
import { decodeTransaction, ed25519Signer, prepare, sign, type Signer } from './tx/sign.ts'
import { verifySignature } from './tx/verify.ts'
import { signatureOf } from './tx/webauthn.ts'
import { bytesOf } from './testing.ts'
import { base64url, concat, hex, utf8 } from './wire/bytes.ts'
import { codeOf } from './wire/refusal.ts'
import { decodeAny, encode, type Schema } from './wire/schema.ts'

interface Judge {
  readonly op: 'judge'
  readonly raw: string
  readonly key: string
  readonly origin: string
}
interface Make {
  readonly op: 'make'
  readonly seed: number
  readonly count: number
  readonly origin: string
  readonly rpId: string
}

interface Actions {
  readonly op: 'actions'
}

interface Guardian {
  readonly op: 'guardian'
  readonly card: string
  readonly chain: string
  readonly number: number
  readonly key: string
}

/** guardian opens a card that Go wrote: its commitment, the case that it asks for, and the proof. */
function guardian(q: Guardian): object {
  const card = parseCard(q.card)
  const terms = termsFor(card.patient, BigInt(q.number), parseKey(q.key))
  const id = caseId(q.chain, terms)
  return { card: cardText(card), commitment: hex(commitmentOf(card)), id: hex(id), request: hex(encode(recoveryRequest, { terms, proof: proofOf(card, id) })) }
}

interface Emergency {
  readonly op: 'emergency'
  readonly map: string
  readonly without: readonly string[]
  readonly salt: string
  readonly text: string
}

/** emergency makes a directive under a map that Go drew, and commits to a statement. */
function emergency(q: Emergency): object {
  const d = directive(openSlotMap(bytesOf(q.map)), q.without)
  return { set: String(d.set), more: String(d.more), except: String(d.except), commitment: stated('', q.text, bytesOf(q.salt)).commitment }
}

interface Row {
  readonly op: 'row'
  readonly name: keyof typeof rows
  readonly row: string
}

const rows = {
  directive: directiveSchema, emergency: emergencyCaseSchema, erasure: erasureCaseSchema, certificate: erasureCertificateSchema, holds: erasureHoldsSchema,
  recovery: recoveryCaseSchema, recoveries: recoveryPatientSchema,
} as const

/** row reads a row or an answer that Go encoded, and encodes it again. */
function row(q: Row): object {
  try {
    const s = rows[q.name] as Schema<unknown>
    return { again: hex(encode(s, decodeAny(s, bytesOf(q.row), 1 << 20))) }
  } catch (err) {
    return { error: String(err) }
  }
}

/** judge reads a transaction that Go made, encodes it again, and verifies its signature. */
function judge(q: Judge): object {
  try {
    const raw = bytesOf(q.raw)
    const d = decodeTransaction(raw)
    if (!isKind(d.kind)) throw new Error('no such kind')
    const payload = encode(schemaOf(d.kind), d.message)
    const again = assemble(d.envelope.body, d.envelope.signatures)
    const key = parseKey(q.key)
    for (const s of d.envelope.signatures) verifySignature(key, digest(d.envelope.body, d.body.chain), s, { origins: [q.origin], requireUV: true })
    return { code: 0, id: hex(d.id), kind: d.kind, again: hex(again), payload: hex(payload) }
  } catch (err) {
    return { code: codeOf(err) ?? -1, error: codeOf(err) === undefined ? String(err) : '' }
  }
}

/** A passkey in software, its signatures in DER with a high s every other time. */
function passkey(account: Uint8Array, seed: Uint8Array, rpId: string, origin: string, high: boolean): Signer {
  const key = passkeyKey(p256.getPublicKey(seed, false).slice(1), rpId)
  return {
    account,
    key,
    sign: (d) => {
      const authenticatorData = concat(key.rpIdHash, new Uint8Array([0x1d, 0, 0, 0, 0]))
      const clientDataJSON = utf8(`{"type":"webauthn.get","challenge":"${base64url(d)}","origin":"${origin}","crossOrigin":false}`)
      const s = p256.Signature.fromBytes(p256.sign(concat(authenticatorData, sha256(clientDataJSON)), seed, { lowS: true }))
      const signature = (high ? new p256.Signature(s.r, p256.Point.Fn.ORDER - s.s) : s).toBytes('der')
      return Promise.resolve(signatureOf(account, key, d, { authenticatorData, clientDataJSON, signature }, { origins: [origin], requireUV: true }))
    },
  }
}

/** make makes random transactions, half of them signed by a passkey. */
async function make(q: Make): Promise<object> {
  const out: object[] = []
  const samples = fc.sample(fc.tuple(anyMessage, bodyTerms), { seed: q.seed, numRuns: q.count })
  for (const [i, [m, terms]] of samples.entries()) {
    const seed = sha256(utf8(`${q.seed}/${i}`))
    const signer = i % 2 === 0 ? ed25519Signer(terms.signer, seed) : passkey(terms.signer, seed, q.rpId, q.origin, i % 4 === 1)
    const { raw, id } = await sign(prepare(m.kind, m.message, terms), signer)
    out.push({ raw: hex(raw), id: hex(id), kind: m.kind, chain: terms.chain, key: keyText(signer.key) })
  }
  return out
}

/** main answers until its input ends. */
export async function main(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const q = JSON.parse(line) as Judge | Make | Actions | Guardian | Emergency | Row
    process.stdout.write(JSON.stringify(q.op === 'judge' ? judge(q) : q.op === 'make' ? await make(q) : q.op === 'guardian' ? guardian(q) : q.op === 'emergency' ? emergency(q) : q.op === 'row' ? row(q) : Object.values(actions)) + '\n')
  }
}
