/**
 * From shares to record keys, and who lied: spec/seal.md section 7, package
 * seal's Combine, Attribute and CombineProven.
 */
import { equal, equalConstant } from '../wire/bytes.ts'
import { SealError } from './error.ts'
import { faulty, type Header, shareRootsHash, validateHeader } from './header.ts'
import { verifyShare } from './manifest.ts'
import { recordKey } from './record.ts'
import { checkList } from './release.ts'
import { combineScalars, decodeScalar, encodeScalar, weights } from './threshold.ts'

/** Wanted is one record whose key is asked for: its id and the commitment learnt from its ciphertext; without one it gets no key. */
export interface Wanted {
  readonly position: number
  readonly id: Uint8Array
  readonly commit: Uint8Array | undefined
}

/** Combined are keys, in the order of the records, undefined where there was no commitment. */
export interface Combined {
  readonly keys: readonly (Uint8Array | undefined)[]
  /** custodians that sent wrong shares, whatever others did, rising */
  readonly bad: readonly number[]
  /** somebody lied whom the shares alone do not name: ask for share proofs */
  readonly disputed: boolean
}

/** Bounds the search for t sound shares among more, per record. */
const maxSubsets = 10_000

/** Shares by custodian index, in the order of the list. */
export type Shares = ReadonlyMap<number, readonly Uint8Array[]>

/**
 * combine makes the keys of the listed records from at least t custodians'
 * shares and compares each with its commitment before it gives it out.
 * @throws SealError invalid; too-few, mismatch: ask more custodians or for proofs
 */
export function combine(h: Header, wanted: readonly Wanted[], shares: Shares): Combined {
  validateHeader(h)
  checkList(
    wanted.map((w) => w.position),
    h.count,
  )
  return new Combination(h, shares, wanted.length).run(wanted)
}

interface Subset {
  readonly members: readonly number[]
  readonly weights: readonly bigint[]
  readonly others: Map<number, readonly bigint[]>
}

class Combination {
  private readonly h: Header
  private readonly scalars = new Map<number, bigint[]>()
  private usable: number[] = []
  private readonly bad = new Set<number>()
  private readonly subsets = new Map<string, Subset>()
  private disputed = false

  constructor(h: Header, shares: Shares, count: number) {
    this.h = h
    for (const [i, list] of [...shares].sort(([a], [b]) => a - b)) {
      if (i < 1 || i > h.n) throw new SealError('invalid', 'seal: shares of no custodian')
      const read = list.map(decodeScalar).filter((s) => s !== undefined)
      if (list.length !== count || read.length !== count) this.bad.add(i)
      else {
        this.scalars.set(i, read)
        this.usable.push(i)
      }
    }
    if (this.usable.length < h.t) throw this.fail('too-few', 'seal: fewer usable shares than the threshold')
  }

  private fail(fault: 'too-few' | 'mismatch', sentence: string): SealError {
    return new SealError(fault, sentence, this.named())
  }

  private named(): number[] {
    return [...this.bad].sort((a, b) => a - b)
  }

  run(wanted: readonly Wanted[]): Combined {
    const keys = wanted.map((w, k) => (w.commit === undefined ? undefined : this.record(k, w.id, w.commit)))
    return { keys, bad: this.named(), disputed: this.disputed }
  }

  private record(k: number, id: Uint8Array, commit: Uint8Array): Uint8Array {
    let tried = 0
    for (const members of candidates(this.usable, this.h.t)) {
      if (++tried > maxSubsets) break
      const s = this.subset(members)
      const secret = encodeScalar(combineScalars(s.weights, this.of(members, k)))
      const got = recordKey(secret, this.h.batchNonce, id)
      secret.fill(0)
      if (!equalConstant(got.commit, commit)) continue
      this.compare(s, k)
      return got.key
    }
    throw this.fail('mismatch', 'seal: shares do not give the committed key')
  }

  private of(members: readonly number[], k: number): bigint[] {
    return members.map((i) => this.scalars.get(i)?.[k] ?? 0n)
  }

  private subset(members: readonly number[]): Subset {
    const name = members.join()
    let s = this.subsets.get(name)
    if (s === undefined) {
      s = { members, weights: weights(members), others: new Map() }
      if (this.subsets.size < 64) this.subsets.set(name, s)
    }
    return s
  }

  /**
   * compare holds every other share of the record against the sound subset. Those
   * that deviate are their senders' fault only if so few do that no other
   * polynomial could be the dealt one: m + 1 - d - f >= t.
   */
  private compare(s: Subset, k: number): void {
    const deviating: number[] = []
    let counted = 0
    let tainted = false
    for (const i of this.usable) {
      const member = s.members.includes(i)
      if (this.bad.has(i)) {
        tainted ||= member
        continue
      }
      counted++
      if (!member && !this.agrees(s, i, k)) deviating.push(i)
    }
    if (deviating.length === 0) return
    const f = Math.max(0, faulty(this.h.n) - this.bad.size)
    if (tainted || counted + 1 - deviating.length - f < this.h.t) this.disputed = true
    else for (const i of deviating) this.bad.add(i)
    // The next record tries this subset first, and those found wrong last.
    const rank = (i: number) => (this.bad.has(i) ? 2 : s.members.includes(i) ? 0 : 1)
    this.usable = [...this.usable].sort((a, b) => rank(a) - rank(b))
  }

  private agrees(s: Subset, i: number, k: number): boolean {
    let w = s.others.get(i)
    if (w === undefined) {
      w = weights(s.members, i)
      s.others.set(i, w)
    }
    return combineScalars(w, this.of(s.members, k)) === this.scalars.get(i)?.[k]
  }
}

/** The first t, then the other runs of t around the circle, then all sets of t. */
function* candidates(members: readonly number[], t: number): Generator<number[]> {
  for (let start = 0; start < members.length; start++) {
    yield [...members.slice(start), ...members.slice(0, start)].slice(0, t).sort((a, b) => a - b)
    if (t === members.length) return
  }
  yield* choose(members, t, 0)
}

function* choose(members: readonly number[], t: number, from: number): Generator<number[]> {
  if (t === 0) {
    yield []
    return
  }
  for (let i = from; i <= members.length - t; i++) {
    for (const rest of choose(members, t - 1, i + 1)) yield [members[i] ?? 0, ...rest]
  }
}

/** Paths of shares by custodian index, in the order of the list. */
export type Proofs = ReadonlyMap<number, readonly (readonly Uint8Array[])[]>

/** attribute names the custodians who sent a share that they cannot prove. roots are the n share roots. @throws SealError proof */
export function attribute(h: Header, roots: readonly Uint8Array[], positions: readonly number[], shares: Shares, proofs: Proofs): number[] {
  validateHeader(h)
  checkList(positions, h.count)
  if (roots.length !== h.n || !equal(shareRootsHash(roots), h.shareRoots)) throw new SealError('proof', "seal: the share roots are not the header's")
  const proven = (i: number, list: readonly Uint8Array[]): boolean => {
    const paths = proofs.get(i)
    const root = roots[i - 1]
    if (paths === undefined || root === undefined || list.length !== positions.length || paths.length !== positions.length) return false
    return positions.every((p, k) => verifyShare(h, root, i, p, list[k] ?? new Uint8Array(0), paths[k] ?? []))
  }
  return [...shares].filter(([i, list]) => !proven(i, list)).map(([i]) => i).sort((a, b) => a - b)
}

/** ProvenResult: author says that proven shares contradict the committed keys or each other, which only the author can have done. */
export interface ProvenResult {
  readonly keys: readonly (Uint8Array | undefined)[] | undefined
  readonly bad: readonly number[]
  readonly author: boolean
}

/** combineProven drops the custodians that attribute names and combines the others. @throws SealError proof, too-few, invalid */
export function combineProven(h: Header, wanted: readonly Wanted[], roots: readonly Uint8Array[], shares: Shares, proofs: Proofs): ProvenResult {
  const positions = wanted.map((w) => w.position)
  const bad = attribute(h, roots, positions, shares, proofs)
  const proved = new Map([...shares].filter(([i]) => !bad.includes(i)))
  try {
    const c = combine(h, wanted, proved)
    return { keys: c.keys, bad, author: c.disputed || c.bad.length > 0 }
  } catch (err) {
    if (err instanceof SealError && err.fault === 'mismatch') return { keys: undefined, bad, author: true }
    if (err instanceof SealError) throw new SealError(err.fault, err.message, [...bad, ...err.custodians])
    throw err
  }
}
