import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { qr, qrPath } from './qr'

const sample = (n: number) => Array.from({ length: n }, (_, i) => String.fromCharCode(33 + ((i * 31 + n) % 90))).join('')
const digest = (s: string) => createHash('sha256').update(qr(s).map((r) => r.map((d) => (d ? '1' : '0')).join('')).join('\n')).digest('hex').slice(0, 16)

// Made with an independent encoder (npm qrcode 1.5.4, byte mode, level M); an independent decoder
// (npm jsqr 1.4.0) read every length from 7 to 658 in steps of 7.
test('symbols are those of another encoder', () => {
  const want: Readonly<Record<number, string>> = { 0: 'c30ac51df3031a0d', 77: '24bd75dc2bd6ae8a', 154: '8d3a5b1e377d7778', 231: 'f2fb7ce9fa27c061', 308: '3120ac6692ba9410', 385: '92689dba33c3a6ce', 462: '0e4e47ac822152b3', 539: 'd22181f6d32d661a', 616: '1b61a3d3247c68c7' }
  for (const [n, hash] of Object.entries(want)) expect(digest(sample(Number(n))), n).toBe(hash)
})

test('the smallest version is taken, and what fits none is refused', () => {
  for (const [n, version] of [[14, 1], [15, 2], [26, 2], [27, 3], [180, 9], [181, 10], [213, 10], [214, 11], [666, 20]] as const) expect(qr(sample(n)).length, String(n)).toBe(17 + 4 * version)
  expect(() => qr(sample(667))).toThrow(RangeError)
})

test('text is counted in bytes of UTF-8', () => {
  expect(qr('ü'.repeat(7)).length).toBe(21)
  expect(qr('ü'.repeat(8)).length).toBe(25)
})

test('the drawing keeps the quiet zone of four modules', () => {
  expect(qrPath(qr('x')).startsWith('M4 4h1v1h-1zM5 4')).toBe(true)
})
