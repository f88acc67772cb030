import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hex } from '../core'
import { claimLink, CodeError, codeInLink, codeText, parseCode } from './code'

const codes = fc.record({ account: fc.uint8Array({ minLength: 16, maxLength: 16 }), secret: fc.uint8Array({ minLength: 32, maxLength: 32 }) })
const faultOf = (s: string) => {
  try {
    parseCode(s)
  } catch (err) {
    if (err instanceof CodeError) return err.fault
    throw err
  }
  return undefined
}

// The vector of record/code_test.go.
const vector = { account: Uint8Array.from({ length: 16 }, (_, i) => i), secret: Uint8Array.from({ length: 32 }, (_, i) => 0xa0 + i) }
const written = '000g-40r4-0m30-e209-185g-r38e-1yga-38n3-mjjt-d9x8-n6na-qb5d-ntqv-1cdj-petb-bdnq-q2wv-nexw-qpzb-zfa0'

test('the code is written as Go writes it', () => {
  expect(codeText(vector)).toBe(written)
})

test('what is written is read, however it is typed', () => {
  fc.assert(fc.property(codes, (c) => {
    const s = codeText(c)
    expect(s).toMatch(/^([0-9a-z]{4}-){19}[0-9a-z]{4}$/)
    for (const typed of [s, s.toUpperCase(), s.replaceAll('-', ' '), s.replaceAll('-', ''), ` ${s.replaceAll('-', '\n')} `, s.replaceAll('0', 'o').replaceAll('1', 'l'), claimLink('https://portal.example.org', c)]) {
      const got = parseCode(typed)
      expect([hex(got.account), hex(got.secret)]).toEqual([hex(c.account), hex(c.secret)])
    }
  }))
})

test('a slip of the pen is told apart', () => {
  const s = codeText(vector)
  expect(faultOf('')).toBe('empty')
  expect(faultOf(' - ')).toBe('empty')
  expect(faultOf(s.slice(0, -1))).toBe('length')
  expect(faultOf(`${s}0`)).toBe('length')
  expect(faultOf(`${s.slice(0, -1)}u`)).toBe('letter')
  expect(faultOf(`${s.slice(0, -1)}<`)).toBe('letter')
  expect(faultOf((s.startsWith('0') ? '2' : '0') + s.slice(1))).toBe('check')
})

test('nothing that is typed does harm', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (s) => void faultOf(s)))
})

test('the link holds the code in its fragment alone', () => {
  const link = new URL(claimLink('https://portal.example.org', vector))
  expect(link.pathname + link.search).toBe('/')
  expect(codeInLink(link.hash)).toBe(codeText(vector).replaceAll('-', ''))
  expect(codeInLink('#/patient/looked')).toBeUndefined()
})
