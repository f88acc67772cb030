/**
 * One sitting of a patient with her own record: a session for her own request that her passkey
 * signed once, and two keys that this page made and the request names. One is what everything in
 * it is sealed to; the other, the delegate, commits to lists in this session and can do nothing else.
 * Both live in memory, for ten minutes at most, and die when the page locks, she signs out, or anything
 * in it fails.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { type Committed, type Custodians, type Dictionary, ed25519Signer, type KeyPair, keyPair, parseAccount, parseHash, Reader, type Signer } from '../core'
import type { About } from './api'
import { provenFacts } from './facts'
import { type Step, submit, submitBy } from './sign'

/** Whose says whose record is read, and for which purpose: what somebody reads who acts for a patient. */
export interface Whose {
  readonly patient: string
  readonly purpose: number
}

const patrqt = 15
/** seconds */
const ttl = 600
/** How long before its end on the ledger a sitting is not used any more, in seconds. */
const early = 30
const everything = (1n << 64n) - 1n

interface Sitting {
  readonly account: string
  readonly whose: Whose
  readonly key: KeyPair
  readonly seed: Uint8Array
  readonly delegate: Signer
  readonly session: Uint8Array
  readonly height: bigint
  /** by Date.now() */
  readonly until: number
  readonly committed: Map<string, Committed>
  fetches: number
}

/** Sittings holds the one that is open. */
export class Sittings {
  private open: Sitting | undefined
  private recovered: Uint8Array | undefined

  /** after says that the keys came back by a recovery, which the next sitting names: once. */
  after(recovery: Uint8Array): void {
    this.recovered = recovery
  }

  /** drop forgets the keys. */
  drop(): void {
    this.open?.key.seed.fill(0)
    this.open?.seed.fill(0)
    this.open = undefined
  }

  /**
   * read runs f with a reader of the sitting that is open, or of a fresh one. again says that f may
   * be run once more in a fresh one, because it found nothing in one that was open before.
   * @throws Problem, Refusal, TooFew, and what f throws; each ends the sitting, but for AbortError
   */
  async read<T>(about: About, account: string, custodians: Custodians, dictionary: Dictionary, step: (s: Step | 'list') => void, signal: AbortSignal, f: (r: Reader, s: { readonly height: bigint }) => Promise<T>, again: (result: T) => boolean, whose: Whose = { patient: account, purpose: patrqt }): Promise<T> {
    try {
      for (;;) {
        const before = this.alive(account, whose)
        const s = before ?? (await this.begin(about, account, whose, step, signal))
        const reader = new Reader({
          session: s.session, key: s.key, height: s.height, facts: await provenFacts(about, s.height), custodians, dictionary, committed: s.committed,
          async commit(root, count) {
            step('list')
            const c = await submitBy(about, s.delegate, 'access.fetch', { session: s.session, root, count }, signal)
            return { fetch: ++s.fetches, height: BigInt(c.height) }
          },
        })
        const result = await f(reader, s)
        if (before === undefined || !again(result)) return result
        this.drop()
      }
    } catch (err) {
      // A list whose fate is unknown ends it: the next number would be a guess.
      this.drop()
      throw err
    }
  }

  private alive(account: string, whose: Whose): Sitting | undefined {
    if (this.open !== undefined && (this.open.account !== account || this.open.whose.patient !== whose.patient || this.open.whose.purpose !== whose.purpose || Date.now() >= this.open.until)) this.drop()
    return this.open
  }

  private async begin(about: About, account: string, whose: Whose, step: (s: Step) => void, signal: AbortSignal): Promise<Sitting> {
    const key = keyPair()
    const seed = crypto.getRandomValues(new Uint8Array(32))
    const delegate = ed25519Signer(parseAccount(account), seed)
    const until = Date.now() + (ttl - early) * 1000
    const request = { patient: parseAccount(whose.patient), purpose: whose.purpose, mask: everything, readerKey: sha256(key.publicKey), ttl: BigInt(ttl), root: new Uint8Array(32), count: 0, delegate: delegate.key.key }
    const recovered = whose.patient === account ? this.recovered : undefined
    const asked = recovered === undefined
      ? submit(about, account, 'access.request', request, step, signal)
      : submit(about, account, 'access.recover', { patient: request.patient, case: recovered, readerKey: request.readerKey, ttl: request.ttl, delegate: request.delegate }, step, signal)
    const opened = await asked.catch((err: unknown) => {
      key.seed.fill(0)
      seed.fill(0)
      throw err
    })
    if (whose.patient === account) this.recovered = undefined
    this.open = { account, whose, key, seed, delegate, session: parseHash(opened.id), height: BigInt(opened.height), until, committed: new Map(), fetches: 0 }
    return this.open
  }
}
