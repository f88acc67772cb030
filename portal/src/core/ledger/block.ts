/**
 * Light blocks: the signed header and the validator set of one height, as
 * CometBFT v0.40 encodes and hashes them (types.LightBlock, types.Header.Hash,
 * types.ValidatorSet.Hash). Only Ed25519 validators are known.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, equal, fromUtf8, hex, utf8 } from '../wire/bytes.ts'
import { merkleRoot } from './merkle.ts'
import { bytesField, fixed64Field, Message, messageField, ProtoError, type Time, timeBytes, uintField, varint } from './proto.ts'

/** BlockID names a block by its hash and the hash over its parts. */
export interface BlockID {
  readonly hash: Uint8Array
  readonly total: number
  readonly parts: Uint8Array
}

/** Header is CometBFT's; appHash commits to the state after the block before. */
export interface BlockHeader {
  readonly block: bigint
  readonly app: bigint
  readonly chain: string
  readonly height: bigint
  readonly time: Time
  readonly lastBlock: BlockID
  readonly lastCommitHash: Uint8Array
  readonly dataHash: Uint8Array
  readonly validatorsHash: Uint8Array
  readonly nextValidatorsHash: Uint8Array
  readonly consensusHash: Uint8Array
  readonly appHash: Uint8Array
  readonly lastResultsHash: Uint8Array
  readonly evidenceHash: Uint8Array
  readonly proposer: Uint8Array
}

/** A vote in a commit: flag 1 absent, 2 for the block, 3 for none. */
export interface CommitSig {
  readonly flag: number
  readonly validator: Uint8Array
  readonly time: Time
  readonly signature: Uint8Array
}

/** Commit is what the validators signed. */
export interface Commit {
  readonly height: bigint
  readonly round: number
  readonly block: BlockID
  readonly signatures: readonly CommitSig[]
}

/** Validator has an Ed25519 key of 32 bytes and a voting power. */
export interface Validator {
  readonly address: Uint8Array
  readonly key: Uint8Array
  readonly power: bigint
}

/** LightBlock is one height that can be verified. */
export interface LightBlock {
  readonly header: BlockHeader
  readonly commit: Commit
  readonly validators: readonly Validator[]
}

/** flags of a CommitSig */
export const absent = 1
export const forBlock = 2
export const forNil = 3

/** addressOf is the address of an Ed25519 key: the first 20 bytes of its SHA-256. */
export const addressOf = (key: Uint8Array): Uint8Array => sha256(key).slice(0, 20)

/** decodeBlock reads the one encoding of a light block that spec/receipt.md section 1 allows. @throws ProtoError */
export function decodeBlock(raw: Uint8Array): LightBlock {
  const m = new Message(raw)
  const signed = new Message(m.required(1))
  const set = m.required(2)
  m.done()
  const header = decodeHeader(signed.required(1))
  const commit = decodeCommit(signed.required(2))
  signed.done()
  return { header, commit, validators: decodeValidators(set) }
}

function decodeBlockID(raw: Uint8Array): BlockID {
  const m = new Message(raw)
  const hash = m.bytes(1)
  const p = new Message(m.required(2))
  m.done()
  const total = p.uint32(1)
  const parts = p.bytes(2)
  p.done()
  return { hash, total, parts }
}

function decodeHeader(raw: Uint8Array): BlockHeader {
  const m = new Message(raw)
  const v = new Message(m.required(1))
  const block = v.uint(1)
  const app = v.uint(2)
  v.done()
  const chain = fromUtf8(m.bytes(2))
  if (chain === undefined) throw new ProtoError()
  const h = {
    block,
    app,
    chain,
    height: m.int64(3),
    time: m.time(4),
    lastBlock: decodeBlockID(m.required(5)),
    lastCommitHash: m.bytes(6),
    dataHash: m.bytes(7),
    validatorsHash: m.bytes(8),
    nextValidatorsHash: m.bytes(9),
    consensusHash: m.bytes(10),
    appHash: m.bytes(11),
    lastResultsHash: m.bytes(12),
    evidenceHash: m.bytes(13),
    proposer: m.bytes(14),
  }
  m.done()
  return h
}

function decodeCommit(raw: Uint8Array): Commit {
  const m = new Message(raw)
  const commit = { height: m.int64(1), round: m.int32(2), block: decodeBlockID(m.required(3)), signatures: m.repeated(4).map(decodeCommitSig) }
  m.done()
  return commit
}

function decodeCommitSig(raw: Uint8Array): CommitSig {
  const m = new Message(raw)
  const s = { flag: m.int32(1), validator: m.bytes(2), time: m.time(3), signature: m.bytes(4) }
  m.done()
  return s
}

/** Total power and priorities are 0, and the proposer is the first validator: what nobody signed has one value. */
function decodeValidators(raw: Uint8Array): Validator[] {
  const m = new Message(raw)
  const list = m.repeated(1)
  const proposer = m.required(2)
  m.done()
  if (list[0] === undefined || !equal(list[0], proposer)) throw new ProtoError()
  return list.map((b) => {
    const v = new Message(b)
    const address = v.bytes(1)
    const k = new Message(v.required(2))
    const key = k.bytes(1)
    k.done()
    const power = v.int64(3)
    v.done()
    if (key.length !== 32) throw new ProtoError()
    return { address, key, power }
  })
}

/** encodeBlock gives that encoding. */
export function encodeBlock(b: LightBlock): Uint8Array {
  const h = b.header
  const header = concat(
    messageField(1, concat(uintField(1, h.block), uintField(2, h.app))),
    bytesField(2, utf8(h.chain)),
    uintField(3, h.height),
    messageField(4, timeBytes(h.time)),
    messageField(5, blockIDBytes(h.lastBlock)),
    ...[h.lastCommitHash, h.dataHash, h.validatorsHash, h.nextValidatorsHash, h.consensusHash, h.appHash, h.lastResultsHash, h.evidenceHash, h.proposer].map((x, i) => bytesField(6 + i, x)),
  )
  const sigs = b.commit.signatures.map((s) =>
    messageField(4, concat(uintField(1, s.flag), bytesField(2, s.validator), messageField(3, timeBytes(s.time)), bytesField(4, s.signature))),
  )
  const commit = concat(uintField(1, b.commit.height), uintField(2, b.commit.round), messageField(3, blockIDBytes(b.commit.block)), ...sigs)
  const validators = b.validators.map((v) => concat(bytesField(1, v.address), messageField(2, bytesField(1, v.key)), uintField(3, v.power)))
  const set = concat(...validators.map((v) => messageField(1, v)), messageField(2, validators[0] ?? new Uint8Array(0)))
  return concat(messageField(1, concat(messageField(1, header), messageField(2, commit))), messageField(2, set))
}

const blockIDBytes = (b: BlockID): Uint8Array => concat(bytesField(1, b.hash), messageField(2, concat(uintField(1, b.total), bytesField(2, b.parts))))

/** headerHashOf is the block's hash: the Merkle root of its fields, each encoded. */
export function headerHashOf(h: BlockHeader): Uint8Array {
  return merkleRoot([
    concat(uintField(1, h.block), uintField(2, h.app)),
    bytesField(1, utf8(h.chain)),
    uintField(1, h.height),
    timeBytes(h.time),
    blockIDBytes(h.lastBlock),
    bytesField(1, h.lastCommitHash),
    bytesField(1, h.dataHash),
    bytesField(1, h.validatorsHash),
    bytesField(1, h.nextValidatorsHash),
    bytesField(1, h.consensusHash),
    bytesField(1, h.appHash),
    bytesField(1, h.lastResultsHash),
    bytesField(1, h.evidenceHash),
    bytesField(1, h.proposer),
  ])
}

/** validatorsHashOf is the hash of a validator set: keys and powers in their order. */
export const validatorsHashOf = (set: readonly Validator[]): Uint8Array =>
  merkleRoot(set.map((v) => concat(messageField(1, bytesField(1, v.key)), uintField(2, v.power))))

/** voteSignBytes is what validator number i signed: a CanonicalVote, with its length before it. */
export function voteSignBytes(chain: string, c: Commit, s: CommitSig): Uint8Array {
  const id = s.flag === forBlock ? messageField(4, blockIDBytes(c.block)) : new Uint8Array(0)
  const vote = concat(
    uintField(1, 2), // precommit
    fixed64Field(2, c.height),
    fixed64Field(3, BigInt(c.round)),
    id,
    messageField(5, timeBytes(s.time)),
    bytesField(6, utf8(chain)),
  )
  return concat(varint(vote.length), vote)
}

/** blockHashText is the block's hash in upper case hexadecimal, as CometBFT writes it. */
export const blockHashText = (h: BlockHeader): string => hex(headerHashOf(h)).toUpperCase()
