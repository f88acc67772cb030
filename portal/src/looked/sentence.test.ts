import fc from 'fast-check'
import { expect, test } from 'vitest'
import { accountText, actions, type Link } from '../core'
import { textIn } from '../app/text/text'
import { cell, csvOf, jsonOf } from './export'
import { kinds, lineOf, matches } from './sentence'

const fixedBytes = (n: number) => fc.uint8Array({ minLength: n, maxLength: n })
const anyLink: fc.Arbitrary<Link> = fc.record({
  index: fc.bigInt(0n, 1n << 40n), height: fc.bigInt(1n, 1n << 40n), time: fc.bigInt(0n, 1n << 32n), tx: fixedBytes(32),
  record: fc.record({
    patient: fixedBytes(16), seq: fc.bigInt(1n, 1n << 30n), prev: fixedBytes(32), prevIndex: fc.bigInt(0n, 1n << 30n), action: fc.constantFrom(...Object.values(actions)),
    actor: fixedBytes(16), member: fc.oneof(fixedBytes(16), fc.constant(new Uint8Array(16))), purpose: fc.integer({ min: 0, max: 59 }), ref: fixedBytes(32),
    mask: fc.oneof(fc.constant(0n), fc.bigInt(0n, (1n << 64n) - 1n)), count: fc.integer({ min: 0, max: 5000 }), root: fixedBytes(32),
  }),
})

const names = (l: Link, named: boolean) => new Map(named ? [[accountText(l.record.member), 'General Hospital']] : [])

test.each(['en', 'de'])('every entry that the ledger can write has a sentence in %s', (language) => {
  const text = textIn(language)
  fc.assert(fc.property(anyLink, fc.boolean(), (l, named) => {
    const line = lineOf(l, names(l, named), text)
    expect(line.sentence).toMatch(/\S.*[.]$/)
    expect(line.sentence).not.toMatch(/undefined|[{}]|looked\./)
    expect(line.kinds.every((k) => kinds.includes(k))).toBe(true)
  }), { numRuns: 500 })
})

test('a try that got nothing is said to be one', () => {
  const [l] = fc.sample(anyLink, 1)
  if (l === undefined) throw new Error('no sample')
  const refused = lineOf({ ...l, record: { ...l.record, action: 8, mask: 0n, purpose: 1 } }, new Map(), textIn('en'))
  expect(refused.sentence).toMatch(/got nothing/)
  expect(refused.kinds).toEqual(['look', 'refused'])
  expect(matches(refused, { kind: 'refused', from: '', words: 'TREATMENT nothing' }, String)).toBe(true)
  expect(matches(refused, { kind: 'consent', from: '', words: '' }, String)).toBe(false)
  expect(matches(refused, { kind: '', from: 'elsewhere', words: '' }, String)).toBe(false)
  expect(matches(refused, { kind: '', from: '', words: 'zebra' }, String)).toBe(false)
})

test('no cell of a table is a formula', () => {
  for (const v of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '＝1', '\u200b=1', '|calc']) expect(cell(v)).toMatch(/^"'/)
  expect(cell('a "quoted", name')).toBe('"a ""quoted"", name"')
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (s) => {
    expect(cell(s)).toMatch(/^"([^"]|"")*"$/s)
    expect(cell(s)).not.toMatch(/^"\s*[=+\-@]/)
  }))
})

test('files have every line, a hostile name in its place', () => {
  fc.assert(fc.property(fc.array(anyLink, { maxLength: 5 }), (ls) => {
    const lines = ls.map((l) => lineOf(l, new Map([[accountText(l.record.member), '=HYPERLINK("x")\n"']]), textIn('en')))
    const j = JSON.parse(jsonOf(lines, { chain: 'c', height: 5n, block: 'B', account: 'a' })) as { entries: unknown[]; completeUpToBlock: number }
    expect([j.entries.length, j.completeUpToBlock]).toEqual([ls.length, 5])
    expect(csvOf(lines).startsWith('\ufeff"number"')).toBe(true)
    expect(csvOf(lines)).not.toContain(',"=')
  }))
})
