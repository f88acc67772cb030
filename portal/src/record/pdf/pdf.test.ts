import fc from 'fast-check'
import { expect, test } from 'vitest'
import { en } from '../../app/text/en'
import { buildChart } from '../model/chart.ts'
import { encode, paper, wrap } from './pdf.ts'
import { recordPaper } from './record.ts'

const latin = new TextDecoder('latin1')

/** checkFile follows the cross-reference table and every stream's length. */
function checkFile(b: Uint8Array): string {
  const s = latin.decode(b)
  const start = Number(/startxref\n(\d+)\n%%EOF\n$/.exec(s)?.[1])
  expect(s.slice(start, start + 5)).toBe('xref\n')
  const rows = [...s.slice(start).matchAll(/^(\d{10}) 00000 n $/gm)]
  rows.forEach((r, i) => expect(s.slice(Number(r[1])).startsWith(`${i + 1} 0 obj\n`)).toBe(true))
  for (const m of s.matchAll(/\/Length (\d+) >>\nstream\n/g)) expect(s.slice(m.index + m[0].length + Number(m[1])).startsWith('\nendstream')).toBe(true)
  return s
}

test('a file is well formed whatever is printed', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 300 }), fc.constantFrom('title', 'head', 'strong', 'plain')), { maxLength: 80 }), fc.string(), (list, title) => {
    const p = paper(list.map(([text, style]) => ({ text, style: style as 'plain' })), title, (n, of) => `${n}/${of}`)
    const s = checkFile(p.bytes)
    expect(s.match(/\/Type \/Page /g)?.length).toBe(p.pages)
  }), { numRuns: 50 })
})

test('umlauts and the euro are printed, accents beyond are folded, the rest is a question mark and counted', () => {
  expect(encode('Äß€')).toEqual({ codes: [0xc4, 0xdf, 0x80], lost: 0 })
  expect(encode('č')).toEqual({ codes: [0x63], lost: 0 })
  expect(encode('血')).toEqual({ codes: [0x3f], lost: 1 })
})

test('lines break at spaces and lose nothing else', () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(0x20, 0x41, 0x42), { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (codes, n) => {
    const lines = wrap(codes, n)
    expect(lines.every((l) => l.length <= n)).toBe(true)
    expect(lines.flat().filter((c) => c !== 0x20)).toEqual(codes.filter((c) => c !== 0x20))
  }))
})

test('the record on paper names everything that is in it', () => {
  const body = (j: object) => new TextEncoder().encode(JSON.stringify(j))
  const chart = buildChart([
    { key: 'a', author: 'h', time: 1, log: 1, body: body({ resourceType: 'Condition', id: 'c', code: { text: 'Asthma' }, onsetDateTime: '2019' }) },
    { key: 'b', author: 'h', time: 1, log: 2, error: 'ciphertext' },
    { key: 'c', author: 'h', time: 1, log: 3, body: body({ resourceType: 'Oddity', id: 'x', text: { div: '<div>said so</div>' } }) },
  ])
  const t = (key: keyof typeof en, values: Record<string, unknown> = {}) => en[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
  const s = checkFile(recordPaper(chart, new Map([['h', 'Hospital']]), { t, time: String, language: 'en' }, new Date(0)).bytes)
  const text = [...s.matchAll(/<([0-9a-f]*)> Tj/g)].map((m) => latin.decode(Uint8Array.from(m[1]?.match(/../g) ?? [], (h) => parseInt(h, 16)))).join('\n')
  for (const want of ['Asthma', '2019', 'said so', 'A record that could not be read', 'Sealed by Hospital', 'Page 1 of 1']) expect(text).toContain(want)
})
