import { shake128 } from '@noble/hashes/sha3.js'
import { expect, test } from 'vitest'
import { bytesOf, vectors } from '../testing.ts'
import { hex, utf8 } from '../wire/bytes.ts'
import { encode } from '../wire/schema.ts'
import { bitCount } from '../tx/check.ts'
import { grantMasks, labelsIn, maskOf, openSlotMap, type Random, SlotError, slotMapSchema, emergencyLabel, stewardLabel } from './slots.ts'

interface Vector {
  map: string
  allowed: string[]
  denied: string[]
  random: string
  mask?: string
  except?: string
  valid: boolean
}

/** The random bytes of the vectors: SHAKE128 of a text. */
function random(text: string): Random {
  const all = shake128(utf8(text), { dkLen: 4096 })
  let at = 0
  return (n) => all.slice(at, (at += n))
}

const cases = vectors<Vector[]>('record/slots.json')

test('masks are those that Go makes from the same map and random bytes', () => {
  for (const c of cases) {
    const m = openSlotMap(bytesOf(c.map))
    expect(hex(encode(slotMapSchema, m))).toBe(c.map)
    const make = () => grantMasks(m, c.allowed, c.denied, random(c.random))
    if (!c.valid) {
      expect(make).toThrow(SlotError)
      continue
    }
    const got = make()
    expect([got.mask, got.except].map((v) => v.toString(16).padStart(16, '0'))).toEqual([c.mask, c.except])
  }
})

test('a grant has 32 and 24 bits, its labels and no others, whatever it denies', () => {
  const m = openSlotMap(bytesOf(cases[0]?.map ?? ''))
  const labels = m.labels.filter((l) => l !== stewardLabel && l !== emergencyLabel)
  for (let n = 0; n <= labels.length; n++) {
    const { mask, except } = grantMasks(m, labels.slice(n), labels.slice(0, n))
    expect([bitCount(mask), bitCount(except)]).toEqual([32, 24])
    expect(labelsIn(m, mask)).toEqual(labels.slice(n))
    expect(labelsIn(m, except)).toEqual(labels.slice(0, n))
  }
})

test('a damaged map is refused', () => {
  const m = openSlotMap(bytesOf(cases[0]?.map ?? ''))
  const bad = (change: (m: { labels: string[]; slots: number[] }) => void) => {
    const copy = { labels: [...m.labels], slots: [...m.slots] }
    change(copy)
    return () => openSlotMap(encode(slotMapSchema, { labels: copy.labels, slots: Uint8Array.from(copy.slots) }))
  }
  expect(bad((c) => c.slots.pop())).toThrow(SlotError)
  expect(bad((c) => (c.slots[0] = c.slots[1] ?? 0))).toThrow(SlotError)
  expect(bad((c) => (c.slots[0] = 64))).toThrow(SlotError)
  expect(bad((c) => (c.labels[0] = c.labels[1] ?? ''))).toThrow(SlotError)
  expect(() => maskOf(m, ['no such label'])).toThrow(SlotError)
})
