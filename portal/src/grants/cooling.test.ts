import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ConsentAll, type Grant, grantMasks, maskOf, parseAccount, type SlotMap, type Standing } from '../core'
import { textIn } from '../app/text/text'
import { day, type Later, laterOf, widens, withLater } from './cooling'
import { type Asker, decide, withGrant } from './decide'
import { grantable, grantSentence } from './sentence'

const clinic = parseAccount('00000000000000000000000001')
const labels = ['allergy', 'condition', 'medication', 'PSY', 'steward', 'emergency']
const m: SlotMap = { labels, slots: Uint8Array.from(labels, (_, i) => 3 * i + 1) }
const patient = new Uint8Array(16).fill(9)
let seed = 1
const random = (n: number) => Uint8Array.from({ length: n }, () => (seed = (seed * 48271) % 0x7fffffff) & 0xff)
const now = 1_000_000n
const start = now + day
const own = maskOf(m, grantable(m))

function grant(allowed: readonly string[], change: Partial<Grant> = {}, denied: readonly string[] = []): Grant {
  return { id: random(16), version: 1n, grantee: { kind: 3, account: clinic, role: '' }, ...grantMasks(m, allowed, denied, random), purposes: 2n, notBefore: 0n, notAfter: 0n, uses: 0, recorded: false, document: new Uint8Array(32), ...change }
}
const standing = (g: Grant): Standing => ({ grant: g, signer: patient, height: 1n, left: g.uses })
const all = (...list: readonly Grant[]): ConsentAll => ({ head: { version: 1n } as ConsentAll['head'], grants: list.map(standing), proxies: [] })
const asks = (before: ConsentAll, g: Grant) => widens(before, g, patient, m, now)
const later = (before: ConsentAll, g: Grant) => laterOf(before, g, patient, m, start, now, random)
const asker = (over: Partial<Asker> = {}): Asker => ({ account: new Uint8Array(16).fill(0xff), class: 2, member: clinic, active: true, roles: [], memberActive: true, memberClinical: true, ...over })
const slots = (c: ConsentAll, at: bigint, purpose = 1, who = asker()): bigint => decide({ patient, asker: who, purpose, requested: own, now: at }, { all: c, others: [] })
const reads = (c: ConsentAll, at: bigint, label: string): boolean => (slots(c, at) & maskOf(m, [label])) !== 0n

const signed = (c: ConsentAll, g: Grant, l: Later) => withLater(c, g.id, l, patient)

test('a consent widens when it is new, for more, for longer or more often, not when the dummies of its mask changed', () => {
  const old = grant(['allergy', 'condition'], { notAfter: now + 10n * day })
  expect(asks(all(), old)).toBe(true)
  const next = (allowed: readonly string[], change: Partial<Grant> = {}, denied: readonly string[] = []) => grant(allowed, { id: old.id, version: 2n, notAfter: old.notAfter, ...change }, denied)
  for (let i = 0; i < 20; i++) expect(asks(all(old), next(['allergy', 'condition']))).toBe(false)
  expect(asks(all(old), next(['allergy']))).toBe(false)
  expect(asks(all(old), next(['allergy', 'condition'], { notAfter: now + day }))).toBe(false)
  expect(asks(all(old), next(['allergy', 'condition'], { uses: 1 }))).toBe(false)
  expect(asks(all(old), next(['allergy'], { purposes: 1n << 5n }))).toBe(false) // below treatment
  expect(asks(all(old), next(['allergy', 'condition', 'PSY']))).toBe(true)
  expect(asks(all(old), next(['allergy'], { purposes: 2n | 1n << 11n }))).toBe(true)
  expect(asks(all(old), next(['allergy'], { notAfter: 0n }))).toBe(true)
  expect(asks(all(old), next(['allergy'], { grantee: { kind: 1, account: new Uint8Array(16), role: '' } }))).toBe(true)
  expect(asks(all(), grant([], {}, ['PSY']))).toBe(false) // only denies
  const once = { ...all(), grants: [{ ...standing(grant(['allergy'], { uses: 2 })), left: 1 }] }
  const id = once.grants[0]?.grant.id ?? random(16)
  expect([1, 2, 0].map((uses) => asks(once, grant(['allergy'], { id, uses })))).toEqual([false, true, true])
  // As far as a proxy may is less than by herself.
  expect(asks({ ...all(old), grants: [{ ...standing(old), signer: clinic }] }, next(['allergy']))).toBe(true)
})

test('ending a denial widens where another consent gives what it denied', () => {
  const old = grant(['allergy'], {}, ['PSY'])
  const other = grant(['PSY'], { grantee: { kind: 1, account: new Uint8Array(16), role: '' } })
  const next = grant(['allergy'], { id: old.id })
  expect([asks(all(old), next), asks(all(old, other), next)]).toEqual([false, true])
  expect(asks(all(old, other), { ...old, notAfter: now + day })).toBe(true)
  expect(asks(all(old, other), { ...old, purposes: 1n << 5n })).toBe(true)
})

test('until it begins nothing more is given, then all of it, and taken back before it changes nothing', () => {
  const old = grant(['allergy', 'condition'])
  const wide = grant(['allergy', 'condition', 'PSY'], { id: old.id, version: 2n })
  const l = later(all(old), wide)
  if (l === undefined) throw new Error('it cannot be later')
  expect(l.meanwhile).toBeUndefined()
  expect(l.grant.notBefore).toBe(start)
  const c = signed(all(old), wide, l)
  expect(c.grants.length).toBe(2)
  for (const at of [now, start - 1n]) expect([reads(c, at, 'condition'), reads(c, at, 'PSY')]).toEqual([true, false])
  expect([reads(c, start, 'condition'), reads(c, start, 'PSY')]).toEqual([true, true])
  expect(reads(all(old), start, 'PSY')).toBe(false)
})

test('what a change takes away holds at once', () => {
  const old = grant(['allergy', 'condition'])
  const other = grant(['allergy', 'PSY'], { id: old.id, version: 2n })
  const l = later(all(old), other)
  if (l === undefined || l.meanwhile === undefined || l.meanwhile === 'revoke') throw new Error('nothing stays')
  expect(l.meanwhile.version).toBe(2n)
  const c = signed(all(old), other, l)
  expect([reads(c, now, 'allergy'), reads(c, now, 'condition'), reads(c, now, 'PSY')]).toEqual([true, false, false])
  expect([reads(c, start, 'allergy'), reads(c, start, 'condition'), reads(c, start, 'PSY')]).toEqual([true, false, true])
  expect(later(all(old), grant(['allergy'], { id: old.id, purposes: 1n << 11n }))?.meanwhile).toBe('revoke')
})

test('a new consent that denies what another gives denies it at once', () => {
  const other = grant(['PSY'], { grantee: { kind: 1, account: new Uint8Array(16), role: '' } })
  const g = grant(['allergy'], {}, ['PSY'])
  const l = later(all(other), g)
  if (l === undefined) throw new Error('it cannot be later')
  const c = signed(all(other), g, l)
  expect([reads(c, now, 'allergy'), reads(c, now, 'PSY'), reads(c, start, 'allergy'), reads(c, start, 'PSY')]).toEqual([false, false, true, false])
  expect(later(all(), g)?.meanwhile).toBeUndefined()
})

test('what has not begun is put off in its place', () => {
  const old = grant(['allergy'], { notBefore: now + 5n })
  const l = later(all(old), grant(['allergy', 'PSY'], { id: old.id, notBefore: old.notBefore }))
  expect([l?.grant.id, l?.grant.notBefore, l?.meanwhile]).toEqual([old.id, start, undefined])
})

test('what two consents cannot say is not put off', () => {
  const change = (from: Grant, to: Grant, ...more: readonly Grant[]) => later(all(from, ...more), { ...to, id: from.id })
  expect(change(grant(['allergy'], {}, ['PSY']), grant(['allergy', 'condition']), grant(['PSY']))).toBeUndefined()
  expect(change(grant(['allergy'], { uses: 1 }), grant(['PSY']))).toBeUndefined()
  expect(change(grant(['allergy']), grant(['PSY'], { uses: 1 }))).toBeUndefined()
  expect(later(all(), grant(['PSY'], { notAfter: start }))).toBeUndefined()
  expect(later(all(), grant(['PSY'], { notBefore: start + day }))?.grant.notBefore).toBe(start + day)
  expect(later(all(), grant(['PSY'], { uses: 1 }))?.grant.uses).toBe(1)
})

test('the sentence says when it begins', () => {
  const l = later(all(), grant(['allergy']))
  for (const language of ['en', 'de']) {
    const text = textIn(language)
    expect(l && grantSentence(l.grant, new Map(), now, text)).toContain(text.time(start))
  }
})

// By the ledger's own rule, for whoever asks, for whatever, whenever: what does not count as wider gives nobody more, and
// what is put off gives before its time no more than what stood and than what she wants, and then just what she wants.
const kinds = ['allergy', 'condition', 'PSY'] as const
const other = parseAccount('00000000000000000000000002')
const times = [0n, now + 100n, start, start + 100n]
const set = fc.subarray([1, 5, 11, 9, 30]).map((list) => list.reduce((v, n) => v | (1n << BigInt(n)), 0n))
const grantee = fc.constantFrom(
  { kind: 1, account: new Uint8Array(16), role: '' }, { kind: 3, account: clinic, role: '' }, { kind: 2, account: other, role: 'nurse' },
  { kind: 2, account: new Uint8Array(16), role: 'nurse' }, { kind: 4, account: new Uint8Array(16).fill(0xff), role: '' },
)
const grants = fc.tuple(fc.subarray([...kinds]), fc.subarray([...kinds]), grantee, set, fc.constantFrom(...times), fc.constantFrom(...times), fc.constantFrom(0, 0, 0, 1, 2))
  .map(([allowed, denied, grantee, purposes, notBefore, notAfter, uses]) => grant(allowed.filter((l) => !denied.includes(l)), { grantee, purposes, notBefore, notAfter, uses }, denied))
const worlds = fc.tuple(fc.array(grants, { maxLength: 4 }), grants, fc.boolean(), fc.boolean(), fc.boolean()).map(([list, drawn, change, same, byProxy]) => {
  const c = all(...list)
  const first = c.grants[0]
  if (first === undefined || !change) return { c, g: drawn }
  const from = first.grant
  // The form keeps whom it is for and when it begins.
  const g = { ...drawn, ...(same ? { mask: from.mask, except: from.except } : {}), id: from.id, version: 2n, grantee: from.grantee, notBefore: from.notBefore }
  const proxy = { proxy: { account: other, mask: maskOf(m, ['allergy']), except: 0n, purposes: 2n, notBefore: 0n, notAfter: 0n, document: new Uint8Array(32) }, since: 0n }
  return { c: { ...c, grants: [byProxy ? { ...first, signer: other } : first, ...c.grants.slice(1)], proxies: byProxy ? [proxy] : [] } as unknown as ConsentAll, g }
})
const askers = [clinic, other].flatMap((member) => [[], ['nurse']].flatMap((roles) => [asker({ member, roles }), asker({ member, roles, account: new Uint8Array(16).fill(0xfe) })]))
const everywhere = (f: (at: bigint, purpose: number, who: Asker) => void) => {
  for (const at of [now, now + 99n, now + 100n, start - 1n, start, start + 99n, start + 100n]) for (const purpose of [1, 5, 11, 9, 30, 7]) for (const who of askers) f(at, purpose, who)
}

test('what does not widen gives nobody more', () => {
  let narrowed = 0
  fc.assert(fc.property(worlds, ({ c, g }) => {
    if (asks(c, g)) return
    narrowed++
    const then = withGrant(c, standing(g))
    const more: unknown[] = []
    everywhere((at, purpose, who) => {
      if ((slots(then, at, purpose, who) & ~slots(c, at, purpose, who)) !== 0n) more.push([at, purpose, who])
    })
    expect(more).toEqual([])
  }), { numRuns: 200, seed: 7 })
  expect(narrowed).toBeGreaterThan(20)
})

test('what is put off gives nothing more before, holds back at once, and is whole from its start on', () => {
  let put = 0
  fc.assert(fc.property(worlds, ({ c, g }) => {
    const l = asks(c, g) ? later(c, g) : undefined
    if (l === undefined) return
    put++
    const [then, wanted] = [signed(c, g, l), withGrant(c, standing(g))]
    const wrong: unknown[] = []
    everywhere((at, purpose, who) => {
      const [got, had, want] = [slots(then, at, purpose, who), slots(c, at, purpose, who), slots(wanted, at, purpose, who)]
      if (at >= start ? got !== want : (got & ~(had & want)) !== 0n) wrong.push([at, purpose, who, got, had, want])
    })
    expect(wrong).toEqual([])
  }), { numRuns: 200, seed: 7 })
  expect(put).toBeGreaterThan(20)
})
