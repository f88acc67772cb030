import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compare, equal, hex, isZero, Refusal } from '../core'
import { stated } from '../duty/statement'
import { Problem } from '../app/api'
import { refused, sentence } from '../app/part/load'
import { textIn } from '../app/text/text'
import { askedText, CardError, cardFor, cardText, commitmentOf, commitmentsOf, parseAsked, parseCard, spoken } from './guardian'
import { accountsIn } from './Guardians'
import { accountText } from '../core'

const fixed = (n: number) => fc.uint8Array({ minLength: n, maxLength: n }).map((b) => Uint8Array.from(b))

test('a card reads back as it was written, and nothing else is one', () => {
  fc.assert(fc.property(fixed(16), fc.option(fixed(16), { nil: undefined }), (patient, account) => {
    const card = cardFor(patient, account)
    const again = parseCard(cardText(card))
    expect(hex(commitmentOf(again))).toBe(hex(commitmentOf(card)))
    expect(again.account === undefined).toBe(account === undefined)
  }))
  for (const bad of ['', '{}', 'null', '[]', '{"patient":"x"}', cardText(cardFor(new Uint8Array(16))).replace('seed', 'other')]) expect(() => parseCard(bad)).toThrow(CardError)
})

test('commitments ascend, are eight at least, and hide how many guardians there are', () => {
  const patient = new Uint8Array(16).fill(1)
  for (const n of [2, 3, 8, 16]) {
    const all = commitmentsOf(Array.from({ length: n }, () => cardFor(patient)))
    expect(all.length).toBe(Math.max(8, n))
    expect(all.every((c, i) => !isZero(c) && (i === 0 || compare(all[i - 1] ?? c, c) < 0))).toBe(true)
  }
})

test('a code with a slip in it is no code', () => {
  fc.assert(fc.property(fixed(16), fixed(64), fixed(32), fc.nat({ max: 231 }), fc.integer({ min: 1, max: 15 }), (account, key, rpIdHash, at, flip) => {
    const text = askedText({ account, key: { alg: 2, key, rpIdHash } })
    const got = parseAsked(` ${text.toUpperCase().replace('SALUS-RECOVER', 'salus-recover')} \n`)
    expect(got !== undefined && equal(got.account, account) && equal(got.key.key, key)).toBe(true)
    const i = text.indexOf(':') + 1 + at
    const slip = text.slice(0, i) + (parseInt(text[i] ?? '0', 16) ^ flip).toString(16) + text.slice(i + 1)
    expect(parseAsked(slip)).toBe(undefined)
  }))
  for (const bad of ['', 'salus-recover:', 'salus-recover:00', 'zz']) expect(parseAsked(bad)).toBe(undefined)
  expect(spoken({ alg: 2, key: new Uint8Array(64), rpIdHash: new Uint8Array(32) })).toMatch(/^([0-9a-f]{4} ){3}[0-9a-f]{4}$/)
})

test('a list of accounts names the line that is none, is there twice, or is her own', () => {
  const [own, a, b] = [1, 2, 3].map((n) => new Uint8Array(16).fill(n)) as [Uint8Array, Uint8Array, Uint8Array]
  expect(accountsIn(`${accountText(a)}\n\n ${accountText(b).toUpperCase()} `, own)).toEqual({ accounts: [a, b], bad: 0 })
  expect(accountsIn(`${accountText(a)}\n${accountText(a)}`, own).bad).toBe(2)
  expect(accountsIn(accountText(own), own).bad).toBe(1)
  expect(accountsIn('nobody', own).bad).toBe(1)
})

test('a refusal says why, and a statement is kept with its salt', () => {
  const text = textIn('en')
  expect(refused(0x0a09, text)).toMatch(/legal hold/)
  expect(refused(0x0a0a, text)).toMatch(/kept/)
  expect(refused(0x0a0b, text)).toMatch(/no such record/)
  expect(refused(0x0314, text)).toMatch(/[Kk]eys/)
  expect(refused(0x0a01, text)).toBeUndefined()
  expect(sentence(new Problem('0x0314', ''), text)).toMatch(/[Kk]eys/)
  expect(sentence(new Refusal(0x0a0a, ''), text)).toMatch(/kept/)
  const s = stated('case', 'words')
  expect(JSON.parse(s.file)).toMatchObject({ case: 'case', statement: 'words' })
  expect(s.commitment).not.toBe(stated('case', 'words').commitment)
})
