/**
 * A light client: it follows the chain from the genesis and checks what a node
 * says against headers that it has verified itself. It asks nobody: the caller
 * brings blocks and receipts. spec/receipt.md section 2 has the rules.
 */
import { equal, hex } from '../wire/bytes.ts'
import { decodeAny, bytes, encode, fixed, type Infer, list, struct, text, u64 } from '../wire/schema.ts'
import { codeOf } from '../wire/refusal.ts'
import { addressOf, headerHashOf, type LightBlock } from './block.ts'
import { about, claim, errBlock, errFormat, errGenesis, type Finding, readBlock, type Receipt } from './receipt.ts'
import { follow, type Trust, trustGenesis } from './trust.ts'

/** Head is a block that was verified. */
export interface Head {
  readonly height: bigint
  readonly hash: Uint8Array
  readonly appHash: Uint8Array
  /** unix seconds */
  readonly time: bigint
  /** what a finding under this block says of it */
  readonly about: Finding
}

/**
 * ForkError: two blocks of one height both carry the signatures of two thirds of
 * the validators. Each alone would be believed; together they prove a fault.
 */
export class ForkError extends Error {
  readonly height: bigint
  constructor(height: bigint) {
    super(`ledger: two signed blocks of height ${height}`)
    this.name = 'ForkError'
    this.height = height
  }
}

const savedSchema = struct({
  chain: [1, text],
  height: [2, u64],
  validators: [3, list(struct({ key: [1, fixed(32)], power: [2, u64] }))],
  next: [4, bytes],
})
type Saved = Infer<typeof savedSchema>

/** How many verified heads are kept. */
const keep = 4096

/** LightClient holds what is trusted now. */
export class LightClient {
  private trust: Trust
  private readonly genesis: Uint8Array | string
  private readonly heads = new Map<bigint, Head>()

  /** @throws Refusal 0x2502 */
  constructor(genesis: Uint8Array | string) {
    this.genesis = genesis
    this.trust = trustGenesis(genesis)
  }

  /** restore goes on where save left off. Only what this program saved may be given: it is trusted like the genesis. @throws Refusal */
  static restore(genesis: Uint8Array | string, saved: Uint8Array): LightClient {
    const c = new LightClient(genesis)
    const s = decodeAny(savedSchema, saved, 1 << 20)
    if (s.chain !== c.trust.chain || s.height < c.trust.height) throw errGenesis()
    c.trust = { ...s, validators: s.validators.map((v) => ({ ...v, address: addressOf(v.key) })) }
    return c
  }

  /** save gives what restore needs: public facts alone. */
  save(): Uint8Array {
    const { chain, height, validators, next } = this.trust
    const s: Saved = { chain, height, next, validators: validators.map((v) => ({ key: v.key, power: v.power })) }
    return encode(savedSchema, s)
  }

  get chain(): string {
    return this.trust.chain
  }

  /** height of the newest block that was verified, one below the first in the beginning */
  get height(): bigint {
    return this.trust.height
  }

  /** head gives a block that was verified, by its height. */
  head(height: bigint): Head | undefined {
    return this.heads.get(height)
  }

  /** follow verifies one later block, in the encoding of receipts, and trusts it from then on. @throws Refusal 0x2501, 0x2503 */
  follow(raw: Uint8Array): Head {
    return this.take(readBlock(raw))
  }

  private take(b: LightBlock): Head {
    const next = follow(this.trust, b)
    this.trust = next
    return this.note(b)
  }

  private note(b: LightBlock): Head {
    const h = b.header
    const head = { height: h.height, hash: headerHashOf(h), appHash: h.appHash, time: h.time.seconds, about: about(b) }
    const known = this.heads.get(h.height)
    if (known !== undefined && !equal(known.hash, head.hash)) throw new ForkError(h.height)
    this.heads.set(h.height, head)
    const oldest = this.heads.size > keep ? this.heads.keys().next().value : undefined
    if (oldest !== undefined) this.heads.delete(oldest)
    return head
  }

  /**
   * advance verifies the block of a height, skipping as far as the validators
   * allow and asking for blocks between where they do not. fetch gives a block by its
   * height, in the encoding of receipts.
   * @throws Refusal 0x2501, 0x2503, and what fetch throws
   */
  async advance(height: bigint, fetch: (height: bigint) => Promise<Uint8Array>): Promise<Head | undefined> {
    if (height <= this.height) return this.head(height)
    const read = async (h: bigint): Promise<LightBlock> => {
      const b = readBlock(await fetch(h))
      if (b.header.height !== h) throw errBlock()
      return b
    }
    return this.bisect(await read(height), read)
  }

  private async bisect(to: LightBlock, read: (h: bigint) => Promise<LightBlock>): Promise<Head> {
    try {
      return this.take(to)
    } catch (err) {
      const middle = (this.trust.height + to.header.height) / 2n
      // Neighbours always follow from each other, so one of the two is not of this chain.
      if (codeOf(err) !== 0x2503 || middle <= this.trust.height) throw err
      await this.bisect(await read(middle), read)
      return this.bisect(to, read)
    }
  }

  /**
   * check verifies a receipt against what is trusted. A block of it that is newer
   * is followed and trusted from then on; one that was verified is not verified
   * again; an older one is verified from the genesis.
   * @throws Refusal 0x2501 to 0x2505, ForkError
   */
  check(r: Receipt): Finding {
    if (r.chain !== this.chain) throw errGenesis()
    if (r.version !== 1) throw errFormat()
    const head = this.see(r.block, r.trail)
    return { ...head.about, ...claim(r, head.appHash) }
  }

  /**
   * see verifies the block of a receipt, with the trail to it, as check does: claims are
   * proven against the app hash of the head that it gives.
   * @throws Refusal 0x2501, 0x2503, ForkError
   */
  see(block: Uint8Array, trail: readonly Uint8Array[]): Head {
    const b = readBlock(block)
    const h = b.header
    const known = this.heads.get(h.height)
    if (known !== undefined && equal(known.hash, headerHashOf(h))) return known // the votes in the block are not looked at
    if (h.appHash.length !== 32) throw errBlock()
    if (h.height <= this.trust.height) {
      let from = trustGenesis(this.genesis)
      for (const raw of trail) from = follow(from, readBlock(raw))
      follow(from, b)
      return this.note(b)
    }
    for (const raw of trail) {
      const t = readBlock(raw)
      if (t.header.height > this.trust.height && t.header.height < h.height) this.take(t)
    }
    return this.take(b)
  }
}

/** headName is the hash of a head in upper case hexadecimal, as CometBFT's tools show it. */
export const headName = (h: Head): string => hex(h.hash).toUpperCase()
