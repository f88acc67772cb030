import { expect, test } from 'vitest'
import { accountText, encode, openSlotMap, type Principal, slotMapSchema, type Standing } from '../core'
import { askerOf, previewOf } from './preview'
import { purposesAsked, readersOf } from './readers'
import { allLabels } from './sentence'
import { grantOf } from './wish'

const now = 1_800_000_000n
const id = (n: number) => new Uint8Array(16).fill(n)
const patient = id(9)
const slots = openSlotMap(encode(slotMapSchema, { labels: ['steward', 'emergency', ...allLabels], slots: Uint8Array.from({ length: 26 }, (_, i) => i) }))
const slotsOf = (...labels: string[]) => labels.reduce((v, l) => v | (1n << BigInt(slots.slots[slots.labels.indexOf(l)] ?? 0)), 0n)
const entries = [slotsOf('laboratory'), slotsOf('laboratory', 'HIV'), slotsOf('medication')]
const members = [1, 2, 3].map((n) => ({ account: accountText(id(n)), clinical: n !== 3, active: true }))
const nurse: Principal = { account: id(5), class: 2, member: id(1), active: true, roles: ['nurse'], privileges: 1, credential: new Uint8Array(32), keys: [], claim: new Uint8Array(32), height: 1n }
const people = new Map([[accountText(nurse.account), nurse]])
const standing = (kind: number, account: Uint8Array, role: string, allowed: string[], denied: string[] = []): Standing => ({
  grant: grantOf({ grantee: { kind, account, role }, purposes: 2n, notBefore: 0n, notAfter: 0n, uses: 0, allowed, denied }, slots, undefined), signer: patient, height: 1n, left: 0,
})
const all = (...grants: Standing[]) => ({ head: { version: 1n, grants: BigInt(grants.length), proxies: 0n }, grants, proxies: [] })
const list = (of: ReturnType<typeof all>, purpose = 1, others: readonly { patient: Uint8Array; consents: ReturnType<typeof all> }[] = []) =>
  readersOf({ basis: { all: of, others }, members, people, slots, entries }, patient, purpose, now).map((r) => [r.who.kind, r.who.account[0], r.who.role, r.given, r.records])

test('nobody is listed without a consent, nor for another purpose', () => {
  expect(list(all())).toEqual([])
  expect(list(all(standing(3, id(1), '', ['laboratory'])), 9)).toEqual([])
  expect(purposesAsked(all())).toEqual([1])
})

test('the people of a member are one line, and whoever gets more or less has one of her own', () => {
  const hospital = standing(3, id(1), '', ['laboratory', 'HIV'])
  expect(list(all(hospital))).toEqual([[3, 1, '', 2, 3]])
  expect(list(all(hospital, standing(4, id(5), '', [], ['HIV'])))).toEqual([[3, 1, '', 2, 3], [4, 5, '', 1, 3]])
  expect(list(all(hospital, standing(4, id(5), '', ['laboratory'])))).toEqual([[3, 1, '', 2, 3]]) // no more than her colleagues
  expect(list(all(standing(2, id(2), 'nurse', ['medication'])))).toEqual([[2, 2, 'nurse', 1, 3]])
  expect(list(all(standing(1, id(0), '', ['laboratory'])))).toEqual([[3, 1, '', 1, 3], [3, 2, '', 1, 3]]) // the third is not clinical
})

test('what was denied under another pseudonym counts', () => {
  const hospital = standing(3, id(1), '', ['laboratory', 'HIV'])
  const denied = { patient: id(8), consents: all({ ...standing(4, id(5), '', [], ['HIV']), signer: id(8) }) }
  expect(list(all(hospital), 1, [denied])).toEqual([[3, 1, '', 2, 3], [4, 5, '', 1, 3]])
})

test('each is listed with what the preview shows', () => {
  const of = all(standing(3, id(1), '', ['laboratory', 'HIV']), standing(4, id(5), '', [], ['HIV']))
  for (const r of readersOf({ basis: { all: of, others: [] }, members, people, slots, entries }, patient, 1, now)) {
    const asker = askerOf(r.who, 1, members, r.who.kind === 4 ? nurse : undefined)
    expect(previewOf({ all: of, others: [] }, asker, patient, 1, now, slots, entries).given).toBe(r.given)
  }
})
