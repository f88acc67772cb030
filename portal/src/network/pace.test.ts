import { expect, test } from 'vitest'
import { de } from '../app/text/de'
import { en } from '../app/text/en'
import { paceOf } from './pace'
import { netEn } from './text/en'

const block = (height: number, second: number, txs: number) => ({ height, time: new Date(second * 1000).toISOString(), hash: '', txs, proposer: '' })

test('the pace is of blocks that carry something, and never of a gap', () => {
  expect(paceOf([block(9, 20, 1), block(8, 18, 0), block(7, 17, 2), block(5, 1, 1)])).toEqual({ median: 2, count: 1 })
  expect(paceOf([block(3, 4.5, 1), block(2, 3, 1), block(1, 0, 0)])).toEqual({ median: 1.5, count: 2 })
  expect(paceOf([block(1, 0, 1)])).toBeUndefined()
})

test('each kind that is explained has both sides, in both languages', () => {
  const kinds = Object.keys(netEn).filter((k) => k.startsWith('net.kind.')).map((k) => k.slice('net.kind.'.length))
  expect(kinds.length).toBeGreaterThan(14)
  for (const k of kinds) for (const c of [en, de] as Record<string, string>[]) for (const side of ['kind', 'hidden']) expect(c[`net.${side}.${k}`]).toBeTruthy()
})
