/**
 * QR codes (ISO/IEC 18004:2015) of text in byte mode with error correction level
 * M, versions 1 to 20: what the link of a claim needs, and no more.
 */
import { utf8 } from '../core'

/** Modules are a symbol without its quiet zone: dark is true, row by row. */
export type Modules = readonly (readonly boolean[])[]

/**
 * Level M of versions 1 to 20 (table 9): error correction codewords of each
 * block, and for each group how many blocks of how many data codewords.
 */
const levels: readonly (readonly [ec: number, ...groups: (readonly [blocks: number, data: number])[]])[] = [
  [10, [1, 16]], [16, [1, 28]], [26, [1, 44]], [18, [2, 32]], [24, [2, 43]],
  [16, [4, 27]], [18, [4, 31]], [22, [2, 38], [2, 39]], [22, [3, 36], [2, 37]], [26, [4, 43], [1, 44]],
  [30, [1, 50], [4, 51]], [22, [6, 36], [2, 37]], [22, [8, 37], [1, 38]], [24, [4, 40], [5, 41]], [24, [5, 41], [5, 42]],
  [28, [7, 45], [3, 46]], [28, [10, 46], [1, 47]], [26, [9, 43], [4, 44]], [26, [3, 44], [11, 45]], [26, [3, 41], [13, 42]],
]

/** Centres of the alignment patterns (table E.1). */
const alignment: readonly (readonly number[])[] = [
  [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50],
  [6, 30, 54], [6, 32, 58], [6, 34, 62], [6, 26, 46, 66], [6, 26, 48, 70], [6, 26, 50, 74], [6, 30, 54, 78], [6, 30, 56, 82], [6, 30, 58, 86], [6, 34, 62, 90],
]

// GF(256) over x^8 + x^4 + x^3 + x^2 + 1 (clause 7.5.2).
const exp = new Uint8Array(512)
const log = new Uint8Array(256)
for (let i = 0, x = 1; i < 255; i++) {
  exp[i] = exp[i + 255] = x
  log[x] = i
  x = x & 0x80 ? (x << 1) ^ 0x11d : x << 1
}
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : (exp[(log[a] ?? 0) + (log[b] ?? 0)] ?? 0))

/** correction is the remainder of data by the generator of n roots. */
function correction(data: readonly number[], n: number): number[] {
  let g = [1]
  for (let i = 0; i < n; i++) {
    const next = new Array<number>(g.length + 1).fill(0)
    g.forEach((c, j) => {
      next[j] = (next[j] ?? 0) ^ c
      next[j + 1] = (next[j + 1] ?? 0) ^ times(c, exp[i] ?? 0)
    })
    g = next
  }
  const rest = [...data, ...new Array<number>(n).fill(0)]
  for (let i = 0; i < data.length; i++) {
    const f = rest[i] ?? 0
    if (f !== 0) g.forEach((c, j) => (rest[i + j] = (rest[i + j] ?? 0) ^ times(c, f)))
  }
  return rest.slice(data.length)
}

/** codewords are data and correction, interleaved (clause 7.6). */
function codewords(text: Uint8Array, version: number): number[] {
  const [ec, ...groups] = levels[version - 1] ?? [0]
  const room = groups.reduce((n, [blocks, data]) => n + blocks * data, 0)
  const bits: number[] = []
  const put = (value: number, n: number) => {
    for (let i = n - 1; i >= 0; i--) bits.push((value >>> i) & 1)
  }
  put(4, 4)
  put(text.length, version < 10 ? 8 : 16)
  for (const b of text) put(b, 8)
  put(0, Math.min(4, room * 8 - bits.length))
  put(0, (8 - (bits.length % 8)) % 8)
  const data: number[] = []
  for (let i = 0; i < bits.length; i += 8) data.push(bits.slice(i, i + 8).reduce((v, b) => (v << 1) | b, 0))
  for (let pad = 0xec; data.length < room; pad ^= 0xfd) data.push(pad)
  const blocks: number[][] = []
  let at = 0
  for (const [count, size] of groups) for (let i = 0; i < count; i++, at += size) blocks.push(data.slice(at, at + size))
  const checks = blocks.map((b) => correction(b, ec))
  const woven = (of: number[][]) => Array.from({ length: Math.max(...of.map((b) => b.length)) }, (_, i) => of.flatMap((b) => b[i] ?? [])).flat()
  return [...woven(blocks), ...woven(checks)]
}

/** What a version can hold in bytes. */
const capacity = (version: number): number => (levels[version - 1]?.slice(1) as [number, number][]).reduce((n, [b, d]) => n + b * d, 0) - (version < 10 ? 2 : 3)

const masks: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0, (_, y) => y % 2 === 0, (x) => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2 === 0, (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
]

/** remainder divides value by a generator polynomial of degree n in GF(2). */
function remainder(value: number, n: number, generator: number): number {
  let rest = value << n
  for (let i = 31; i >= n; i--) if ((rest >>> i) & 1) rest ^= generator << (i - n)
  return rest
}

/** Board is a symbol while it is drawn; fixed are the modules that no mask touches. */
class Board {
  readonly size: number
  readonly dark: boolean[][]
  readonly fixed: boolean[][]
  constructor(version: number) {
    this.size = 17 + 4 * version
    const rows = () => Array.from({ length: this.size }, () => new Array<boolean>(this.size).fill(false))
    this.dark = rows()
    this.fixed = rows()
    this.patterns(version)
  }

  set(x: number, y: number, dark: boolean, fixed = true): void {
    const row = this.dark[y]
    const kept = this.fixed[y]
    if (row === undefined || kept === undefined || x < 0 || x >= this.size) return
    row[x] = dark
    kept[x] = kept[x] === true || fixed
  }

  /** patterns draws finders, timing, alignment and version, and keeps room for the format (clauses 6.3 and 7.10). */
  private patterns(version: number): void {
    const n = this.size
    for (let i = 0; i < n; i++) {
      this.set(i, 6, i % 2 === 0)
      this.set(6, i, i % 2 === 0)
    }
    for (const [cx, cy] of [[3, 3], [n - 4, 3], [3, n - 4]] as const) {
      for (let y = -4; y <= 4; y++) {
        for (let x = -4; x <= 4; x++) {
          const ring = Math.max(Math.abs(x), Math.abs(y))
          if (cy + y >= 0 && cy + y < n) this.set(cx + x, cy + y, ring !== 2 && ring !== 4)
        }
      }
    }
    const centres = alignment[version - 1] ?? []
    const last = centres.at(-1)
    for (const cx of centres) {
      for (const cy of centres) {
        if ((cx === 6 && (cy === 6 || cy === last)) || (cy === 6 && cx === last)) continue
        for (let y = -2; y <= 2; y++) for (let x = -2; x <= 2; x++) this.set(cx + x, cy + y, Math.max(Math.abs(x), Math.abs(y)) !== 1)
      }
    }
    if (version >= 7) {
      const info = (version << 12) | remainder(version, 12, 0x1f25)
      for (let i = 0; i < 18; i++) {
        const bit = ((info >>> i) & 1) === 1
        this.set(n - 11 + (i % 3), Math.floor(i / 3), bit)
        this.set(Math.floor(i / 3), n - 11 + (i % 3), bit)
      }
    }
    this.format(0)
  }

  /** format writes level M and the mask beside the finders (clause 7.9). */
  format(mask: number): void {
    const n = this.size
    const info = ((mask << 10) | remainder(mask, 10, 0x537)) ^ 0x5412 // level M is 00
    const bit = (i: number) => ((info >>> i) & 1) === 1
    for (let i = 0; i < 8; i++) {
      this.set(n - 1 - i, 8, bit(i))
      this.set(8, i < 6 ? i : i + 1, bit(i))
    }
    for (let i = 8; i < 15; i++) {
      this.set(8, n - 15 + i, bit(i))
      this.set(i === 8 ? 7 : 14 - i, 8, bit(i))
    }
    this.set(8, n - 8, true)
  }

  /** place puts the codewords into the free modules, two columns at a time from the right (clause 7.7.3). */
  place(words: readonly number[]): void {
    const n = this.size
    let at = 0
    let up = true
    for (let right = n - 1; right > 0; right -= 2, up = !up) {
      if (right === 6) right = 5
      for (let i = 0; i < n; i++) {
        const y = up ? n - 1 - i : i
        for (const x of [right, right - 1]) {
          if (this.fixed[y]?.[x] === true) continue
          this.set(x, y, (((words[at >>> 3] ?? 0) >>> (7 - (at & 7))) & 1) === 1, false)
          at++
        }
      }
    }
  }

  masked(mask: number): boolean[][] {
    this.format(mask)
    const flip = masks[mask]
    return this.dark.map((row, y) => row.map((d, x) => (this.fixed[y]?.[x] !== true && flip?.(x, y) === true ? !d : d)))
  }
}

/** penalty is how badly a symbol can be read (clause 7.8.3.1). */
function penalty(m: Modules): number {
  const n = m.length
  const columns = m.map((_, x) => m.map((row) => row[x] === true))
  let sum = 0
  for (const line of [...m, ...columns]) {
    const s = line.map((d) => (d ? '1' : '0')).join('')
    for (const run of s.match(/1{5,}|0{5,}/g) ?? []) sum += run.length - 2
    for (const like of ['10111010000', '00001011101']) for (let i = s.indexOf(like); i >= 0; i = s.indexOf(like, i + 1)) sum += 40
  }
  for (let y = 1; y < n; y++) for (let x = 1; x < n; x++) if (m[y]?.[x] === m[y - 1]?.[x] && m[y]?.[x] === m[y]?.[x - 1] && m[y]?.[x] === m[y - 1]?.[x - 1]) sum += 3
  const share = (m.flat().filter(Boolean).length * 100) / (n * n)
  return sum + 10 * Math.floor(Math.abs(share - 50) / 5)
}

/** qr makes the smallest symbol that holds the text. @throws RangeError if none does */
export function qr(text: string): Modules {
  const b = utf8(text)
  const version = levels.findIndex((_, i) => b.length <= capacity(i + 1)) + 1
  if (version === 0) throw new RangeError('qr: the text is too long')
  const board = new Board(version)
  board.place(codewords(b, version))
  const made = masks.map((_, i) => board.masked(i))
  const worth = made.map(penalty)
  return made[worth.indexOf(Math.min(...worth))] ?? []
}

/** qrPath draws the dark modules as one path in a box of size + 8, quiet zone included. */
export const qrPath = (m: Modules): string => m.map((row, y) => row.map((d, x) => (d ? `M${x + 4} ${y + 4}h1v1h-1z` : '')).join('')).join('')
