/** Results grouped by what was measured, with series that can be drawn. Units are never mixed: each has its own series. */
import { Decimal, type Json } from './json.ts'
import type { When } from './date.ts'
import { type Item, rangeOf, valueOf } from './item.ts'
import { all, codeKey, concept, get, str } from './value.ts'

export interface Point {
  readonly item: Item
  readonly when: When
  readonly value: number
  /** as it was sent */
  readonly text: string
  readonly low: number | undefined
  readonly high: number | undefined
}
/** Series holds values of one unit, oldest first. low and high are the reference range, if all that give one give the same. */
export interface Series {
  readonly unit: string
  readonly points: readonly Point[]
  readonly low: number | undefined
  readonly high: number | undefined
}
/** Reading is one line of the table: also what cannot be drawn. */
export interface Reading {
  readonly item: Item
  readonly value: string
  readonly range: string
  readonly interpretation: string
  readonly drawn: boolean
}
export interface Group {
  readonly key: string
  readonly title: string
  readonly readings: readonly Reading[]
  readonly series: readonly Series[]
}

const numberOf = (j: Json | undefined): number | undefined => {
  const v = get(j, 'value')
  const n = v instanceof Decimal && v.text.length <= 40 ? Number(v.text) : NaN
  return Number.isFinite(n) && Math.abs(n) < 1e15 ? n : undefined
}

/** unitKey names a unit: its UCUM code, else the text of the unit exactly; undefined where none is given and the value is a bare number. */
const unitKey = (q: Json | undefined): string => (str(q, 'code') !== '' ? `${str(q, 'system')}|${str(q, 'code')}` : `text|${str(q, 'unit')}`)

interface Found {
  readonly title: string
  readonly readings: Reading[]
  readonly series: Map<string, { unit: string; points: Point[] }>
}

/** groupResults reads observations, and each component of them as a result of its own. */
export function groupResults(items: readonly Item[]): Group[] {
  const groups = new Map<string, Found>()
  const add = (item: Item, part: Json | undefined, key: string, title: string) => {
    const q = get(part, 'valueQuantity')
    const value = numberOf(q)
    const exact = str(q, 'comparator') === ''
    const drawn = value !== undefined && exact && item.when !== undefined && !item.wrong
    const g = groups.get(key) ?? { title, readings: [], series: new Map<string, { unit: string; points: Point[] }>() }
    groups.set(key, g)
    g.readings.push({ item, value: valueOf(part), range: rangeOf(part), interpretation: concept(part, 'interpretation'), drawn })
    if (!drawn || item.when === undefined) return
    const unit = unitKey(q)
    const s = g.series.get(unit) ?? { unit: str(q, 'unit') || str(q, 'code'), points: [] }
    g.series.set(unit, s)
    const bound = (side: string) => {
      const b = get(part, 'referenceRange', side)
      return b !== undefined && unitKey(b) === unit ? numberOf(b) : undefined
    }
    s.points.push({ item, when: item.when, value, text: valueOf(part), low: bound('low'), high: bound('high') })
  }
  for (const item of items) {
    if (item.type !== 'Observation') continue
    const code = get(item.json, 'code')
    const key = codeKey(code)
    const parts = all(item.json, 'component')
    if (parts.length === 0 || valueOf(item.json) !== '') add(item, item.json, key === '' ? `one|${item.source.key}` : key, item.title)
    for (const c of parts) {
      const own = codeKey(get(c, 'code'))
      const title = [item.title, concept(c, 'code')].filter((s) => s !== '').join(' – ')
      add(item, c, own === '' ? `one|${item.source.key}` : `${key} ${own}`, title)
    }
  }
  return [...groups].map(([key, g]) => ({ key, title: g.title, readings: g.readings, series: [...g.series.values()].map(seriesOf) })).sort((a, b) => a.title.localeCompare(b.title))
}

function seriesOf(s: { unit: string; points: Point[] }): Series {
  const same = (of: (p: Point) => number | undefined) => {
    const all = new Set(s.points.map(of).filter((v) => v !== undefined))
    return all.size === 1 ? [...all][0] : undefined
  }
  return { unit: s.unit, points: s.points.sort((a, b) => a.when.at - b.when.at), low: same((p) => p.low), high: same((p) => p.high) }
}
