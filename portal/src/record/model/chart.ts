/** The whole record, in the parts that the views show. */
import { dayOf } from './date.ts'
import { codes, concept, get } from './value.ts'
import { type Item, readItem, type Source } from './item.ts'

export interface Split {
  readonly active: readonly Item[]
  readonly past: readonly Item[]
}

/** Visit is what belongs to one encounter on one day; encounter is undefined for what names none that is here. */
export interface Visit {
  readonly encounter: Item | undefined
  readonly items: readonly Item[]
}
/** Day is a date as exact as it is known ("2024-05-01", "2024"), empty for what has none. */
export interface Day {
  readonly day: string
  readonly visits: readonly Visit[]
}

export interface Chart {
  /** what is shown: newest version each, newest first */
  readonly items: readonly Item[]
  readonly patient: Item | undefined
  readonly problems: Split
  readonly medications: Split
  readonly allergies: Split
  readonly immunizations: readonly Item[]
  readonly others: readonly Item[]
  readonly unreadable: readonly Item[]
  /** by "Type/id"; the author narrows it, for ids are each organisation's own */
  find(reference: string, author: string): Item | undefined
}

const newest = (a: Item, b: Item): number => (b.when?.at ?? -Infinity) - (a.when?.at ?? -Infinity) || b.source.log - a.source.log || (a.source.key < b.source.key ? -1 : 1)
const safe = (n: number) => (Number.isNaN(n) ? 0 : n)
const order = (a: Item, b: Item) => safe(newest(a, b))

const split = (items: readonly Item[], active: (i: Item) => boolean): Split => ({ active: items.filter((i) => !i.wrong && active(i)), past: items.filter((i) => i.wrong || !active(i)) })

const clinical = (i: Item) => codes(get(i.json, 'clinicalStatus'))
const over = new Set(['inactive', 'resolved', 'remission'])
const ended = new Set(['completed', 'stopped', 'cancelled', 'not-taken', 'entered-in-error', 'ended', 'draft'])

/** buildChart sorts opened records. A later version of the same resource of the same author replaces the earlier one; nothing else is left out. */
export function buildChart(sources: readonly Source[]): Chart {
  const latest = new Map<string, Item>()
  for (const item of sources.map(readItem).sort((a, b) => a.source.log - b.source.log)) {
    const name = item.kind === 'unreadable' || item.id === '' ? item.source.key : `${item.source.author} ${item.type}/${item.id}`
    const before = latest.get(name)
    if (before !== undefined) item.older = [...before.older, before.source]
    latest.set(name, item)
  }
  const items = [...latest.values()].sort(order)
  const at = new Map<string, Item>()
  const any = new Map<string, Item>()
  for (const i of items) {
    if (i.id === '') continue
    at.set(`${i.source.author} ${i.type}/${i.id}`, i)
    if (!any.has(`${i.type}/${i.id}`)) any.set(`${i.type}/${i.id}`, i)
  }
  const of = (...types: readonly string[]) => items.filter((i) => types.includes(i.type))
  return {
    items,
    patient: of('Patient').sort((a, b) => b.source.log - a.source.log)[0],
    problems: split(of('Condition'), (i) => !clinical(i).some((c) => over.has(c)) && get(i.json, 'abatementDateTime') === undefined),
    medications: split(of('MedicationRequest', 'MedicationStatement', 'MedicationAdministration', 'MedicationDispense'), (i) => ['MedicationRequest', 'MedicationStatement'].includes(i.type) && !ended.has(concept(i.json, 'status'))),
    allergies: split(of('AllergyIntolerance'), (i) => !clinical(i).some((c) => over.has(c))),
    immunizations: of('Immunization'),
    others: items.filter((i) => i.kind === 'other'),
    unreadable: items.filter((i) => i.kind === 'unreadable'),
    find: (reference, author) => {
      const name = /([A-Z][A-Za-z]+\/[^/]+)(?:\/_history\/.*)?$/.exec(reference)?.[1] ?? ''
      return at.get(`${author} ${name}`) ?? any.get(name)
    },
  }
}

/** timeline groups items by day, and within it by encounter. What has no date comes last. */
export function timeline(chart: Chart, items: readonly Item[] = chart.items): Day[] {
  const days = new Map<string, Map<string, { encounter: Item | undefined; items: Item[] }>>()
  for (const i of items) {
    const day = i.when === undefined ? '' : dayOf(i.when)
    const encounter = i.encounter === '' ? undefined : chart.find(i.encounter, i.source.author)
    const visits = days.get(day) ?? new Map<string, { encounter: Item | undefined; items: Item[] }>()
    days.set(day, visits)
    const name = encounter?.source.key ?? ''
    const visit = visits.get(name) ?? { encounter, items: [] }
    visits.set(name, visit)
    if (encounter !== i) visit.items.push(i)
  }
  const undated = days.get('')
  days.delete('')
  if (undated !== undefined) days.set('', undated)
  return [...days].map(([day, visits]) => ({ day, visits: [...visits.values()] }))
}
