/**
 * From the genesis validators to a block: the rules of spec/receipt.md section
 * 2, which are those of package receipt. No clock is asked.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { compare, equal, hex, unbase64, utf8 } from '../wire/bytes.ts'
import { refusal } from '../wire/refusal.ts'
import { absent, addressOf, type BlockHeader, type Commit, type CommitSig, forBlock, forNil, headerHashOf, type LightBlock, type Validator, validatorsHashOf, voteSignBytes } from './block.ts'

export const errGenesis = refusal(0x2502, 'receipt: the genesis file cannot be read or is of another network')
export const errBlock = refusal(0x2503, 'receipt: the block is not signed by two thirds of the validators')

/** Trust is what a verifier knows after following the chain up to a height: who validated it, and who validates the next. */
export interface Trust {
  readonly chain: string
  readonly height: bigint
  readonly validators: readonly Validator[]
  /** hash of the validators of height + 1 */
  readonly next: Uint8Array
}

const maxPower = (1n << 63n) / 8n - 1n

/** fail gives the refusal of a block with the reason as its cause; the reason holds no bytes of the block. */
const fail = (why: string) => errBlock().with(new Error(why))

/** trustGenesis reads a genesis file (CometBFT's JSON) and begins at its validators. @throws Refusal 0x2502 */
export function trustGenesis(file: Uint8Array | string): Trust {
  let doc: unknown
  try {
    doc = JSON.parse(typeof file === 'string' ? file : new TextDecoder('utf-8', { fatal: true }).decode(file))
  } catch (err) {
    throw errGenesis().with(err)
  }
  if (!isObject(doc)) throw errGenesis()
  const chain = doc['chain_id']
  if (typeof chain !== 'string' || chain === '' || utf8(chain).length > 50) throw errGenesis()
  const initial = integer(doc['initial_height'] ?? '1')
  const list: unknown = doc['validators']
  if (initial < 0n || !Array.isArray(list) || list.length === 0) throw errGenesis()
  const validators = list.map(genesisValidator)
  if (new Set(validators.map((v) => hex(v.key))).size !== validators.length) throw errGenesis()
  // The order of a validator set: power falling, then address (types.ValidatorsByVotingPower).
  validators.sort((a, b) => (a.power === b.power ? compare(a.address, b.address) : a.power > b.power ? -1 : 1))
  if (total(validators) > maxPower) throw errGenesis()
  return { chain, height: (initial === 0n ? 1n : initial) - 1n, validators, next: validatorsHashOf(validators) }
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v)

function integer(v: unknown): bigint {
  if (typeof v !== 'string' || !/^-?[0-9]{1,18}$/.test(v)) throw errGenesis()
  return BigInt(v)
}

function genesisValidator(v: unknown): Validator {
  const key = isObject(v) ? v['pub_key'] : undefined
  if (!isObject(v) || !isObject(key) || key['type'] !== 'tendermint/PubKeyEd25519' || typeof key['value'] !== 'string') throw errGenesis()
  const raw = unbase64(key['value'])
  const power = integer(v['power'])
  if (raw?.length !== 32 || power <= 0n) throw errGenesis()
  const address = addressOf(raw)
  const given: unknown = v['address'] ?? ''
  if (typeof given !== 'string' || (given !== '' && given.toLowerCase() !== hex(address))) throw errGenesis()
  return { address, key: raw, power }
}

const total = (set: readonly Validator[]): bigint => set.reduce((n, v) => n + v.power, 0n)

const hashOrNone = (b: Uint8Array): boolean => b.length === 0 || b.length === 32

/** checkHeader is types.Header.ValidateBasic. */
function checkHeader(h: BlockHeader): void {
  if (h.block !== 11n) throw fail('another block protocol')
  if (utf8(h.chain).length > 50 || h.height <= 0n || h.proposer.length !== 20) throw fail('a malformed header')
  const hashes = [h.lastBlock.hash, h.lastBlock.parts, h.lastCommitHash, h.dataHash, h.evidenceHash, h.validatorsHash, h.nextValidatorsHash, h.consensusHash, h.lastResultsHash]
  if (!hashes.every(hashOrNone) || h.validatorsHash.length === 0) throw fail('a malformed header')
}

const noTime = -62135596800n // year 1, Go's zero time

/** checkVote is types.CommitSig.ValidateBasic. */
function checkVote(s: CommitSig): void {
  if (s.flag === absent) {
    if (s.validator.length !== 0 || s.signature.length !== 0 || s.time.seconds !== noTime || s.time.nanos !== 0) throw fail('a malformed vote')
  } else if ((s.flag !== forBlock && s.flag !== forNil) || s.validator.length !== 20 || s.signature.length === 0) throw fail('a malformed vote')
}

/** checkParts checks that header, commit and validators belong together (types.LightBlock.ValidateBasic). @throws Refusal 0x2503 */
export function checkParts(chain: string, b: LightBlock): void {
  checkHeader(b.header)
  const c = b.commit
  if (c.height < 0n || c.round < 0 || c.signatures.length === 0) throw fail('a malformed commit')
  if (!hashOrNone(c.block.hash) || !hashOrNone(c.block.parts)) throw fail('a malformed commit')
  c.signatures.forEach(checkVote)
  if (b.header.chain !== chain) throw fail('another chain')
  if (c.height !== b.header.height || !equal(headerHashOf(b.header), c.block.hash)) throw fail('the commit is of another block')
  for (const v of b.validators) if (v.power < 0n || !equal(v.address, addressOf(v.key))) throw fail('a malformed validator')
  if (b.validators.length === 0 || total(b.validators) > maxPower || !equal(validatorsHashOf(b.validators), b.header.validatorsHash)) {
    throw fail('the validators are not those of the header')
  }
}

/** voted verifies one vote as CometBFT does: Ed25519 by the rules of ZIP-215. */
function voted(chain: string, c: Commit, s: CommitSig, v: Validator): boolean {
  try {
    return s.signature.length === 64 && ed25519.verify(s.signature, voteSignBytes(chain, c, s), v.key, { zip215: true })
  } catch {
    return false
  }
}

/** Verifying what was verified before is skipped: votes seen in a run, by their position. */
type Seen = Set<number>

/** checkCommit wants every signature right and more than two thirds for the block (types.VerifyCommit). */
function checkCommit(chain: string, set: readonly Validator[], c: Commit, seen: Seen): void {
  if (set.length !== c.signatures.length) throw fail('another number of votes than validators')
  let power = 0n
  c.signatures.forEach((s, i) => {
    const v = set[i]
    if (s.flag === absent || v === undefined) return
    if (!equal(v.address, s.validator)) throw fail('a vote of another validator')
    if (!seen.has(i) && !voted(chain, c, s, v)) throw fail('a wrong signature')
    if (s.flag === forBlock) power += v.power
  })
  if (3n * power <= 2n * total(set)) throw fail('too few signatures')
}

/** checkHandover wants more than two thirds of the former validators to have signed for the block. */
function checkHandover(chain: string, former: readonly Validator[], b: LightBlock): Seen {
  const seen: Seen = new Set()
  const found = new Set<Validator>()
  const needed = (2n * total(former)) / 3n
  let power = 0n
  for (const [i, s] of b.commit.signatures.entries()) {
    if (s.flag !== forBlock) continue
    const v = former.find((f) => equal(f.address, s.validator))
    if (v === undefined) continue
    if (found.has(v)) throw fail('a double vote')
    found.add(v)
    if (!voted(chain, b.commit, s, v)) throw fail('a wrong signature')
    const now = b.validators[i]
    if (now !== undefined && equal(now.key, v.key)) seen.add(i)
    power += v.power
    if (power > needed) return seen
  }
  throw fail('the validators changed, and too few of the former ones signed')
}

/**
 * follow checks a later block and returns what is known after it. More than two
 * thirds of its own validators signed it, with every signature right, and they
 * are the trusted ones, or named for this height by the trusted block, or more
 * than two thirds of the trusted ones signed it too.
 * @throws Refusal 0x2503
 */
export function follow(t: Trust, b: LightBlock): Trust {
  checkParts(t.chain, b)
  const h = b.header
  if (h.height <= t.height) throw fail('heights do not rise')
  const named = equal(h.validatorsHash, validatorsHashOf(t.validators)) || (h.height === t.height + 1n && equal(h.validatorsHash, t.next))
  const seen = named ? new Set<number>() : checkHandover(t.chain, t.validators, b)
  checkCommit(t.chain, b.validators, b.commit, seen)
  return { chain: t.chain, height: h.height, validators: b.validators, next: h.nextValidatorsHash }
}
