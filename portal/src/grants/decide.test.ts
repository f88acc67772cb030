import { expect, test } from 'vitest'
import { consentAllSchema, decodeAny, denialsSchema } from '../core'
import { bytesOf, exists, file, vectors } from '../core/testing'
import { covers, decide, readable } from './decide'
import { previewOf } from './preview'

interface Case {
  consents: string; others: string; patient: string; actor: string; member: string; class: number; active: boolean; roles: string[]
  memberActive: boolean; memberClinical: boolean; purpose: number; requested: string; now: number; allowed: string
}

test('the preview decides as the ledger does', () => {
  const cases = vectors<Case[]>('consent/decide.json')
  let allowed = 0
  let merged = 0
  for (const [i, v] of cases.entries()) {
    const c = decodeAny(consentAllSchema, bytesOf(v.consents), 1 << 20)
    const asker = { account: bytesOf(v.actor), class: v.class, member: bytesOf(v.member), active: v.active, roles: v.roles, memberActive: v.memberActive, memberClinical: v.memberClinical }
    const others = v.others === '' ? [] : decodeAny(denialsSchema, bytesOf(v.others), 1 << 20).others
    const got = decide({ patient: bytesOf(v.patient), asker, purpose: v.purpose, requested: BigInt(`0x${v.requested}`), now: BigInt(v.now) }, { all: c, others })
    expect([i, got.toString(16).padStart(16, '0')]).toEqual([i, v.allowed])
    if (got !== 0n) allowed++
    if (others.length > 0) merged++
  }
  expect(allowed).toBeGreaterThan(cases.length / 3)
  expect(merged).toBeGreaterThan(cases.length / 5)
})

test('what the preview shows of merged pseudonyms is what the ledger releases', () => {
  // Every slot is a label of its own, with one record.
  const m = { labels: Array.from({ length: 64 }, (_, i) => `L${i}`), slots: Uint8Array.from({ length: 64 }, (_, i) => i) }
  const entries = m.labels.map((_, i) => 1n << BigInt(i))
  let withheld = 0
  for (const [i, v] of vectors<Case[]>('consent/decide.json').entries()) {
    if (v.others === '') continue
    const b = { all: decodeAny(consentAllSchema, bytesOf(v.consents), 1 << 20), others: decodeAny(denialsSchema, bytesOf(v.others), 1 << 20).others }
    const asker = { account: bytesOf(v.actor), class: v.class, member: bytesOf(v.member), active: v.active, roles: v.roles, memberActive: v.memberActive, memberClinical: v.memberClinical }
    const shown = (basis: typeof b) => {
      const p = previewOf(basis, asker, bytesOf(v.patient), v.purpose, BigInt(v.now), m, entries)
      expect([i, p.given, p.rows.filter((r) => r.given === 1).length]).toEqual([i, p.rows.filter((r) => r.open).length, p.given])
      return p.rows.reduce((mask, r, slot) => (r.open ? mask | (1n << BigInt(slot)) : mask), 0n) & BigInt(`0x${v.requested}`)
    }
    expect([i, shown(b).toString(16).padStart(16, '0')]).toEqual([i, v.allowed])
    if (shown({ ...b, others: [] }) !== shown(b)) withheld++
  }
  expect(withheld).toBeGreaterThan(0)
})

test('purposes cover what lies below them, emergencies only themselves', () => {
  // The table of spec/consent.md section 5 is the tree.
  expect(exists('spec/consent.md')).toBe(true)
  const rows = [...new TextDecoder().decode(file('spec/consent.md')).matchAll(/^\| (\d+) \| ([A-Z]+) \| ([A-Z]*) ?\|/gm)]
  expect(rows.length).toBe(59)
  const number = new Map(rows.map((r) => [r[2] ?? '', Number(r[1])]))
  for (const [, n, , up] of rows) {
    const self = Number(n)
    const emergency = self >= 2 && self <= 4
    expect(covers(1n << BigInt(self), self)).toBe(true)
    if (up !== undefined && up !== '') expect([n, covers(1n << BigInt(number.get(up) ?? 0), self)]).toEqual([n, !emergency])
    else for (const other of number.values()) if (other !== self) expect(covers(1n << BigInt(other), self)).toBe(false)
  }
})

test('a record needs every one of its slots', () => {
  expect(readable(0b101n, 0b111n)).toBe(true)
  expect(readable(0b101n, 0b110n)).toBe(false)
  expect(readable(0n, 0b110n)).toBe(false)
})
