import fc from 'fast-check'
import { expect, test } from 'vitest'
import { accountText, bitCount, encode, type Grant, isZero, openSlotMap, type Principal, type Proxy, type SlotMap, slotMapSchema, type Standing, validate } from '../core'
import { arbitraries } from '../core/tx/arbitrary'
import { textIn } from '../app/text/text'
import { withGrant } from './decide'
import { askerOf, previewOf } from './preview'
import { allLabels, grantable, grantSentence, kindsOf, labelText, proxySentence } from './sentence'
import { grantOf, wishOf } from './wish'

const now = 1_800_000_000n
const map: fc.Arbitrary<SlotMap> = fc.shuffledSubarray(Array.from({ length: 64 }, (_, i) => i), { minLength: 26, maxLength: 26 }).map((slots) => openSlotMap(encode(slotMapSchema, { labels: ['steward', 'emergency', ...allLabels], slots: Uint8Array.from(slots) })))
const grant = arbitraries['consent.grant'].map((m) => m.grant as Grant)
const proxy = arbitraries['consent.proxy'].map((m) => m.proxy as Proxy)
const sound = (s: string) => {
  expect(s).toMatch(/^\S.*[.]$/s)
  expect(s).not.toMatch(/undefined|[{}]|grants\.|label\.|purpose\.|Invalid/)
}

test.each(['en', 'de'])('every grant that the schema allows has a sentence in %s', (language) => {
  const w = textIn(language)
  fc.assert(fc.property(grant, fc.option(map, { nil: undefined }), (g, m) => {
    sound(grantSentence(g, new Map(), now, w))
    const kinds = kindsOf(g, m, w)
    if (m !== undefined) sound(kinds?.allowed ?? '')
    if (kinds !== undefined && kinds.denied !== '') sound(kinds.denied)
  }), { numRuns: 300 })
  fc.assert(fc.property(proxy, (p) => sound(proxySentence(p, now, w))), { numRuns: 100 })
  for (const l of allLabels) expect(labelText(l, w)).not.toBe(l)
})

const labels = fc.subarray([...allLabels])
const wish = fc.tuple(grant, labels, labels).map(([g, allowed, denied]) => ({ ...wishOf(g, undefined), allowed: allowed.filter((l) => !denied.includes(l)), denied }))

test('a wish becomes a grant that the ledger takes, and reads back as the same wish', () => {
  fc.assert(fc.property(wish, map, (w, m) => {
    const g = grantOf(w, m, undefined)
    validate('consent.grant', { patient: new Uint8Array(16).fill(1), grant: g })
    expect([bitCount(g.mask), bitCount(g.except)]).toEqual([32, 24])
    const back = wishOf(g, m)
    const sorted = (l: readonly string[] | undefined) => [...(l ?? [])].sort()
    expect([sorted(back.allowed), sorted(back.denied)]).toEqual([sorted(w.allowed), sorted(w.denied)])
    expect(wishOf(grantOf(back, m, g), m).allowed).toEqual(back.allowed)
  }), { numRuns: 200 })
})

test('without the map a change keeps the kinds and raises the version', () => {
  fc.assert(fc.property(grant, (g) => {
    const next = grantOf({ ...wishOf(g, undefined), notAfter: 5n }, undefined, g)
    expect([next.mask, next.except, next.version, next.notAfter]).toEqual([g.mask, g.except, g.version + 1n, 5n])
  }))
})

const place = (n: number, clinical = true, active = true) => ({ account: accountText(new Uint8Array(16).fill(n)), clinical, active })
/** readerOf is whom a grant includes, at a clinical member. */
const readerOf = (g: Grant) => {
  const at = isZero(g.grantee.account) || g.grantee.kind === 4 ? place(3) : { ...place(3), account: accountText(g.grantee.account) }
  return askerOf(g.grantee, 1, [at], person(g.grantee.account))
}
const person = (account: Uint8Array, over: Partial<Principal> = {}): Principal => ({
  account, class: 2, member: new Uint8Array(16).fill(3), active: true, roles: [], privileges: 1, credential: new Uint8Array(32), keys: [], claim: new Uint8Array(32), height: 1n, ...over,
})

test('a reader is who the ledger says she is, and nothing is promised to whom nothing would be given', () => {
  const she = new Uint8Array(16).fill(5)
  const to = { kind: 4, account: she, role: '' }
  expect(askerOf(to, 1, [place(3)], undefined)).toBeUndefined()
  expect(askerOf(to, 1, [place(3)], person(new Uint8Array(16).fill(6)))).toBeUndefined()
  expect(askerOf(to, 1, [place(3)], person(she, { roles: ['nurse'] }))).toMatchObject({ active: true, roles: ['nurse'], memberActive: true, memberClinical: true })
  expect(askerOf(to, 1, [place(3, false)], person(she))?.memberClinical).toBe(false)
  expect(askerOf(to, 1, [place(3, true, false)], person(she))?.memberActive).toBe(false)
  expect(askerOf(to, 1, [place(4)], person(she))?.memberActive).toBe(false)
  for (const [purpose, privileges, active] of [[1, 0, false], [1, 1, true], [2, 1, false], [2, 5, true], [3, 5, undefined], [4, 4, false]] as const) {
    expect([purpose, privileges, askerOf(to, purpose, [place(3)], person(she, { privileges }))?.active]).toEqual([purpose, privileges, active])
  }
  // Of a member that is not clinical nobody is included in a consent for all clinical ones.
  expect(askerOf({ kind: 3, account: new Uint8Array(16).fill(7), role: '' }, 1, [place(3), place(7, false)], undefined)).toMatchObject({ memberClinical: false, memberActive: true })
  expect(askerOf({ kind: 1, account: new Uint8Array(16), role: '' }, 1, [place(7, false), place(4, true, false)], undefined)).toBeUndefined()
  expect(askerOf({ kind: 2, account: new Uint8Array(16), role: 'nurse' }, 1, [place(7, false), place(4)], undefined)).toMatchObject({ roles: ['nurse'], member: new Uint8Array(16).fill(4) })
})

test('the preview gives exactly the records of which every label is allowed', () => {
  fc.assert(fc.property(wish, map, fc.array(fc.subarray([...allLabels], { minLength: 1 }), { maxLength: 12 }), (w, m, records) => {
    const patient = new Uint8Array(16).fill(9)
    const signer = patient
    const g = { ...grantOf({ ...w, purposes: 2n, notBefore: 0n, notAfter: 0n, uses: 0 }, m, undefined) }
    const s: Standing = { grant: g, signer, height: 1n, left: 0 }
    const none = { head: { version: 0n, grants: 0n, proxies: 0n }, grants: [], proxies: [] }
    const slotsOf = (ls: readonly string[]) => ls.reduce((v, l) => v | (1n << BigInt(m.slots[m.labels.indexOf(l)] ?? 0)), 0n)
    const asker = readerOf(g)
    const p = previewOf({ all: withGrant(none, s), others: [] }, asker, patient, 1, now, m, [...records.map(slotsOf), slotsOf(['steward'])])
    const want = records.filter((ls) => ls.every((l) => w.allowed.includes(l))).length
    expect([p.given, p.records]).toEqual([want, records.length])
    // A denial that was said to the same under another pseudonym takes away what it names.
    const elsewhere = { patient: new Uint8Array(16).fill(8), consents: withGrant(none, { ...s, signer: new Uint8Array(16).fill(8), grant: { ...g, mask: 0n, except: slotsOf(w.allowed) } }) }
    expect(previewOf({ all: withGrant(none, s), others: [elsewhere] }, asker, patient, 1, now, m, records.map(slotsOf)).given).toBe(0)
    expect(p.rows.map((r) => r.label)).toEqual(grantable(m))
    for (const r of p.rows) expect(r.open).toBe(w.allowed.includes(r.label))
    // And without the grant: nothing.
    expect(previewOf({ all: none, others: [] }, asker, patient, 1, now, m, records.map(slotsOf)).given).toBe(0)
  }), { numRuns: 150 })
})
