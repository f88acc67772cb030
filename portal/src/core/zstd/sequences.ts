/** The sequences of a block: RFC 8878 section 3.1.1.3.2. */
import { BackwardBits, ZstdError } from './bits.ts'
import { buildFSE, type FSE, nextState, oneSymbol, readFSE } from './fse.ts'

/** Tables are the three of a block; repeated ones come from the block before, or the dictionary. */
export interface Tables {
  literal: FSE | undefined
  offset: FSE | undefined
  match: FSE | undefined
}

/** Baselines follow from the numbers of extra bits: each code begins where the one before ends. Section 3.1.1.3.2.1.1. */
function baselines(first: number, bits: readonly number[]): Int32Array {
  const out = new Int32Array(bits.length)
  let at = first
  bits.forEach((n, i) => {
    out[i] = at
    at += 1 << n
  })
  return out
}

const zeros = (n: number): number[] => new Array<number>(n).fill(0)
const literalBits = [...zeros(16), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
const matchBits = [...zeros(32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
const literalBase = baselines(0, literalBits)
const matchBase = baselines(3, matchBits)

/** The default distributions: section 3.1.1.3.2.2. */
const ones = (n: number, v = 1): number[] => new Array<number>(n).fill(v)
const defaults = {
  literal: buildFSE([4, 3, ...ones(11, 2), 1, 1, 1, ...ones(9, 2), 3, 2, ...ones(5), ...ones(4, -1)], 6),
  match: buildFSE([1, 4, 3, ...ones(6, 2), ...ones(37), ...ones(7, -1)], 6),
  offset: buildFSE([...ones(6), 2, 2, 2, ...ones(15), ...ones(5, -1)], 5),
} as const
const limits = { literal: [9, 35], offset: [8, 31], match: [9, 52] } as const

/** readSequences applies a sequences section: copy is called for each sequence, in order. It returns nothing: all of b belongs to it. */
export function readSequences(b: Uint8Array, t: Tables, copy: (literals: number, offset: number, match: number) => void): void {
  const head = b[0]
  if (head === undefined) throw new ZstdError()
  let at = 1
  let count = head
  if (head >= 128) {
    count = head < 255 ? ((head - 128) << 8) + (b[1] ?? 0) : (b[1] ?? 0) + ((b[2] ?? 0) << 8) + 0x7f00
    at = head < 255 ? 2 : 3
  }
  if (count === 0) {
    if (b.length !== at) throw new ZstdError()
    return
  }
  const modes = b[at++]
  if (modes === undefined || (modes & 3) !== 0) throw new ZstdError()
  for (const [name, shift] of [
    ['literal', 6],
    ['offset', 4],
    ['match', 2],
  ] as const) {
    const mode = (modes >> shift) & 3
    const [maxLog, maxSymbol] = limits[name]
    if (mode === 0) t[name] = defaults[name]
    else if (mode === 1) {
      const s = b[at++]
      if (s === undefined || s > maxSymbol) throw new ZstdError()
      t[name] = oneSymbol(s)
    } else if (mode === 2) {
      const f = readFSE(b.subarray(at), maxLog, maxSymbol)
      t[name] = f.table
      at += f.size
    } else if (t[name] === undefined) throw new ZstdError()
  }
  const { literal, offset, match } = t
  if (literal === undefined || offset === undefined || match === undefined) throw new ZstdError()
  const r = new BackwardBits(b.subarray(at))
  let ls = r.read(literal.log)
  let os = r.read(offset.log)
  let ms = r.read(match.log)
  for (let i = 0; i < count; i++) {
    const oc = offset.symbol[os] ?? 0
    const mc = match.symbol[ms] ?? 0
    const lc = literal.symbol[ls] ?? 0
    const value = 2 ** oc + r.read(oc)
    const m = (matchBase[mc] ?? 0) + r.read(matchBits[mc] ?? 0)
    const l = (literalBase[lc] ?? 0) + r.read(literalBits[lc] ?? 0)
    if (r.left < 0) throw new ZstdError()
    copy(l, value, m)
    if (i === count - 1) break
    ls = nextState(literal, ls, r)
    ms = nextState(match, ms, r)
    os = nextState(offset, os, r)
  }
  if (r.left !== 0) throw new ZstdError()
}
