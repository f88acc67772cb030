import { expect, test } from 'vitest'
import type { Link } from '../core'
import { textIn } from '../app/text/text'
import { emergenciesIn, flagNames, flagsIn } from './flags'

test('flags are named by their bits, and one that is not known says nothing', () => {
  expect(flagsIn(0)).toEqual([])
  expect(flagsIn(5)).toEqual(['often', 'doubted'])
  expect(flagsIn(255)).toEqual([...flagNames])
})

test('the newest emergencies are asked about, and nothing else of the log', () => {
  const link = (action: number, n: number) => ({ record: { action, ref: new Uint8Array(32).fill(n) } }) as unknown as Link
  const links = [link(8, 100), ...Array.from({ length: 12 }, (_, i) => link(11, i)), link(14, 101)]
  expect(emergenciesIn(links).map((r) => r[0])).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2])
})

test('each flag has its plain words in both languages', () => {
  const [en, de] = [textIn('en'), textIn('de')]
  for (const f of flagNames) {
    expect(en.t(`eme.flag.${f}`).length).toBeGreaterThan(20)
    expect(de.t(`eme.flag.${f}`)).not.toBe(en.t(`eme.flag.${f}`))
  }
})
