/**
 * The patient's wallet and verifier: everything that decides what is signed, what
 * is believed and what is opened. It has no user interface, keeps nothing, and
 * contacts nobody: the app carries bytes between it and the gateway.
 *
 *   wire      bytes, canonical CBOR, schemas, refusals
 *   tx        transactions, keys, passkeys
 *   consent   the slot map and the masks of grants
 *   ledger    light client, proofs, audit chain, receipts, rows
 *   seal      sealed batches: HPKE, shares, keys, records
 *   custody   what custodians are asked and how their answers are checked
 *   zstd      the decoder of compressed records
 *
 * Contract: nothing that comes from outside is believed before it is checked; a
 * refusal has a stable code (Refusal) or a stable word (SealError, ChainError,
 * SlotError, BadCustodian). It must never log, store or send a key or a plaintext.
 */
export * from './wire/bytes.ts'
export { codeOf, Refusal } from './wire/refusal.ts'
export { decode, decodeAny, encode, type Infer, type Schema } from './wire/schema.ts'

export * from './tx/name.ts'
export * from './tx/key.ts'
export { assemble, type Body, decodeEnvelope, digest, type Envelope, type Signature, signatureSchema } from './tx/envelope.ts'
export { type Grant, type Grantee, isKind, type Kind, type MessageOf, messages, type Proxy, type RecoveryProof, type RecoveryTerms, recoveryTerms, schemaOf } from './tx/message.ts'
export { normalizeES256, type PasskeyPolicy } from './tx/passkey.ts'
export * from './tx/sign.ts'
export { bitCount } from './tx/check.ts'
export { exceptBits, lastPurpose, maskBits } from './tx/consent.ts'
export { validate } from './tx/validate.ts'
export { verifySignature } from './tx/verify.ts'
export * from './tx/webauthn.ts'

export * from './consent/slots.ts'

export * from './ledger/audit.ts'
export { type BlockHeader, headerHashOf, type LightBlock, type Validator } from './ledger/block.ts'
export * from './ledger/client.ts'
export * from './ledger/facts.ts'
export * from './ledger/proven.ts'
export { appHash, type EntryProof, entryProofSchema, type ExtensionProof, extensionProofSchema, type KeyProof, keyProofSchema, type Roots, verifyEntry, verifyExtension, verifyKey } from './ledger/proof.ts'
export { decodeReceipt, type Finding, readBlock, type Receipt, receiptSchema, type RowClaim, verifyFile, verifyReceipt } from './ledger/receipt.ts'
export * from './ledger/rows.ts'

export { type Committed, type Custodians, type Facts, type IndexLine, indexLines, type Progress, Reader, type ReaderConfig, type Result, TooFew } from './custody/reader.ts'
export { type Anchored, anchoredSchema, type Committee, committeeSchema, type Item, itemName, type List, listRoot, maxList, sortedList } from './custody/message.ts'
export { byTime, type Located } from './custody/locate.ts'
export { askAll } from './custody/ask.ts'
export { askOpenings, digestOf as openingsDigestOf, type Opening, type Question, verifyOpening } from './custody/openings.ts'
export { type BadCustodian, type CustodianFault, type Opened } from './custody/release.ts'
export { dictionaryName, openDictionary } from './seal/compress.ts'
export { SealError, type SealFault } from './seal/error.ts'
export { forget, type KeyPair, keyPair } from './seal/hpke.ts'
export { entryLeaf, kindIndex, kindRecord, type ManifestEntry } from './seal/manifest.ts'
export type { Dictionary } from './zstd/zstd.ts'
