/** Receipts: a file that proves one claim with nothing but the genesis file. spec/receipt.md; package receipt in TypeScript. */
import { refusal } from '../wire/refusal.ts'
import { bool, bytes, decodeAny, encode, fixed, type Infer, list, maybe, opt, struct, text, u64, u8 } from '../wire/schema.ts'
import { decodeEntry, type Entry, type Link, noPosition, positionKey, positionSchema, samePosition, verifyChain } from './audit.ts'
import { blockHashText, decodeBlock, encodeBlock, forBlock, type LightBlock } from './block.ts'
import { entryProofSchema, keyProofSchema, verifyEntry, verifyKey } from './proof.ts'
import { errBlock, errGenesis, follow, type Trust, trustGenesis } from './trust.ts'
import type { Time } from './proto.ts'
import { equal } from '../wire/bytes.ts'

export const errFormat = refusal(0x2501, 'receipt: not a receipt of a known version')
export const errProof = refusal(0x2504, 'receipt: the proof does not lead to the signed block')
export const errChain = refusal(0x2505, "receipt: the entries do not form the pseudonym's complete chain")
export { errBlock, errGenesis } from './trust.ts'

export const entryClaim = struct({ index: [1, u64], entry: [2, bytes], proof: [3, entryProofSchema] })
export const rowClaim = struct({ key: [1, bytes], value: [2, bytes], absent: [3, bool], proof: [4, keyProofSchema] })
const auditClaim = struct({ patient: [1, fixed(16)], entries: [2, list(bytes)], position: [3, positionSchema], proof: [4, keyProofSchema] })

export const receiptSchema = struct({
  version: [1, u8],
  chain: [2, text],
  entry: [3, opt(maybe(entryClaim))],
  row: [4, opt(maybe(rowClaim))],
  audit: [5, opt(maybe(auditClaim))],
  block: [6, bytes],
  trail: [7, opt(list(bytes))],
})

/** Receipt claims one thing: exactly one of entry, row and audit is there. */
export type Receipt = Infer<typeof receiptSchema>
export type RowClaim = Infer<typeof rowClaim>

const maxReceipt = 64 << 20

function wellFormed(r: Receipt): boolean {
  const claims = [r.entry, r.row, r.audit].filter((c) => c !== undefined).length
  return r.version === 1 && claims === 1 && (r.row === undefined || r.row.absent === (r.row.value.length === 0))
}

/** decodeReceipt reads the canonical bytes of a receipt. @throws Refusal 0x2501 */
export function decodeReceipt(b: Uint8Array): Receipt {
  let r
  try {
    r = decodeAny(receiptSchema, b, maxReceipt)
  } catch (err) {
    throw errFormat().with(err)
  }
  if (!wellFormed(r)) throw errFormat()
  return r
}

/** Finding is what a verified receipt proves: the claim held after the block of height, and the signed block one above shows it. */
export interface Finding {
  readonly chain: string
  readonly height: bigint
  readonly block: bigint
  readonly time: Time
  readonly hash: string
  /** validators whose signature for the block was checked, and how many there are */
  readonly signed: number
  readonly of: number
  readonly entry?: { readonly index: bigint; readonly entry: Entry }
  readonly row?: RowClaim
  readonly audit?: { readonly patient: Uint8Array; readonly links: readonly Link[] }
}

/** readBlock decodes a light block of a receipt. @throws Refusal 0x2501 */
export function readBlock(raw: Uint8Array): LightBlock {
  try {
    const b = decodeBlock(raw)
    if (!equal(encodeBlock(b), raw)) throw errFormat()
    return b
  } catch (err) {
    throw errFormat().with(err)
  }
}

/**
 * verifyReceipt checks a receipt. genesis is the network's genesis file, or
 * what was learnt from it and a chain followed since; nothing else is trusted.
 * @throws Refusal 0x2501 to 0x2505, its cause says more
 */
export function verifyReceipt(genesis: Uint8Array | string, r: Receipt): Finding {
  if (!wellFormed(r)) throw errFormat()
  let trust: Trust = trustGenesis(genesis)
  if (trust.chain !== r.chain) throw errGenesis()
  for (const raw of r.trail) trust = follow(trust, readBlock(raw))
  const b = readBlock(r.block)
  follow(trust, b)
  if (b.header.appHash.length !== 32) throw errBlock()
  return { ...about(b), ...claim(r, b.header.appHash) }
}

/** about is what a finding says of a block that was followed. */
export function about(b: LightBlock): Finding {
  const h = b.header
  const signed = b.commit.signatures.filter((s) => s.flag === forBlock).length
  return { chain: h.chain, height: h.height - 1n, block: h.height, time: h.time, hash: blockHashText(h), signed, of: b.validators.length }
}

type Claimed = Pick<Finding, 'entry' | 'row' | 'audit'>

/** claim checks what a receipt claims under an app hash that is trusted. @throws Refusal */
export function claim(r: Receipt, app: Uint8Array): Claimed {
  if (r.entry !== undefined) {
    if (!verifyEntry(r.entry.proof, app, r.entry.index, r.entry.entry)) throw errProof()
    return { entry: { index: r.entry.index, entry: readEntry(r.entry.entry) } }
  }
  if (r.row !== undefined) {
    if (!verifyKey(r.row.proof, app, r.row.key, r.row.absent ? undefined : r.row.value)) throw errProof()
    return { row: r.row }
  }
  if (r.audit === undefined) throw errFormat()
  const a = r.audit
  // The position is encoded again, not taken as bytes: only the canonical row verifies.
  const row = samePosition(a.position, noPosition()) ? undefined : encode(positionSchema, a.position)
  if (!verifyKey(a.proof, app, positionKey(a.patient), row)) throw errProof()
  try {
    return { audit: { patient: a.patient, links: verifyChain(a.patient, a.entries, a.position) } }
  } catch (err) {
    throw errChain().with(err)
  }
}

function readEntry(raw: Uint8Array): Entry {
  try {
    return decodeEntry(raw)
  } catch (err) {
    throw errFormat().with(err)
  }
}

/** verifyFile is decodeReceipt and verifyReceipt. @throws Refusal */
export function verifyFile(genesis: Uint8Array | string, receipt: Uint8Array): Finding {
  return verifyReceipt(genesis, decodeReceipt(receipt))
}

