import { expect, test } from 'vitest'
import { createHash } from 'node:crypto'
import { utf8 } from '../core'
import { memory } from '../looked/keep'
import { age, compareFingerprints, fingerprint, meet } from './pin'

test('a fingerprint is what sha256sum says of the file, in groups of four', () => {
  const file = utf8('{"chain_id":"x"}')
  expect(fingerprint(file).replaceAll(' ', '')).toBe(createHash('sha256').update(file).digest('hex').slice(0, 32))
  expect(fingerprint(file)).toMatch(/^([0-9a-f]{4} ){7}[0-9a-f]{4}$/)
})

test('paper is compared as people write', () => {
  const shown = fingerprint(utf8('x'))
  for (const typed of [shown, shown.toUpperCase(), shown.replaceAll(' ', ''), shown.replaceAll(' ', ':'), ` ${shown}\n`]) expect(compareFingerprints(typed, shown).is, typed).toBe('same')
  expect(compareFingerprints('', shown).is).toBe('empty')
  expect(compareFingerprints(shown.slice(0, 20), shown)).toEqual({ is: 'short', count: 16 })
  expect(compareFingerprints('g', shown).is).toBe('letter')
  expect(compareFingerprints(fingerprint(utf8('y')), shown).is).toBe('other')
  expect(compareFingerprints(`${shown}0`, shown).is).toBe('other')
})

const key = (seed: string) => createHash('sha256').update(seed).digest('base64')
const genesis = (chain: string, seed = 'a') => utf8(JSON.stringify({ chain_id: chain, initial_height: '1', validators: [{ pub_key: { type: 'tendermint/PubKeyEd25519', value: key(seed) }, power: '1' }] }))

test('the genesis that was seen first is remembered, and another one refused', async () => {
  const keep = memory()
  expect(await meet(genesis('salus'), 'salus', keep, 100)).toMatchObject({ ok: true, first: true, chain: 'salus', since: 100 })
  expect(await meet(genesis('salus'), 'salus', keep, 200)).toMatchObject({ ok: true, first: false, since: 100 })
  for (const other of [genesis('salus', 'b'), genesis('other'), utf8('{}')]) {
    expect(await meet(other, 'salus', keep, 300)).toMatchObject({ ok: false, fault: 'changed', since: 100, remembered: fingerprint(genesis('salus')), shown: fingerprint(other) })
  }
  // A refusal is not remembered in the place of the first.
  expect(await meet(genesis('salus'), 'salus', keep, 400)).toMatchObject({ ok: true, since: 100 })
  await keep.clear()
  expect(await meet(genesis('other'), 'other', keep, 500)).toMatchObject({ ok: true, first: true, since: 500 })
})

test('a portal whose chain is not that of its genesis is refused, and not remembered', async () => {
  const keep = memory()
  expect(await meet(genesis('salus'), 'false', keep, 1)).toMatchObject({ ok: false, fault: 'chain' })
  expect(await meet(utf8('[]'), 'salus', keep, 1)).toMatchObject({ ok: false, fault: 'unreadable' })
  expect(await meet(genesis('salus', 'b'), 'salus', keep, 2)).toMatchObject({ ok: true, first: true })
})

test('ages are in the largest unit that fits', () => {
  expect([-5, 0, 119, 120, 7199, 7200, 172_799, 172_800].map((s) => Object.values(age(s)).join(' '))).toEqual(['seconds 0', 'seconds 0', 'seconds 119', 'minutes 2', 'minutes 119', 'hours 2', 'hours 47', 'days 2'])
})
