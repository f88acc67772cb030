/** The International Patient Summary: the document that an author wrote (a Bundle of type document, or its Composition), else the same sections made of the record. */
import type { Chart } from './chart.ts'
import { type Item, itemOf, narrativeOf } from './item.ts'
import type { Json, Obj } from './json.ts'
import type { Tree } from './narrative.ts'
import { all, concept, display, get, isObj, reference, str } from './value.ts'

export type SectionName = 'problems' | 'allergies' | 'medications' | 'immunizations' | 'results' | 'procedures' | 'other'

export interface Section {
  /** the author's title; for sections made here, the name of the catalogue */
  readonly title: string
  readonly name: SectionName
  readonly narrative: Tree
  readonly items: readonly Item[]
  /** references that nothing here answers */
  readonly missing: readonly string[]
  /** why it is empty, in the author's words */
  readonly empty: string
}
export interface Summary {
  /** the document it is from; undefined if it was made here */
  readonly from: Item | undefined
  readonly title: string
  readonly sections: readonly Section[]
}

const maxSections = 200
const ips = '60591-5' // LOINC "Patient summary Document", the type of an IPS Composition (IPS IG, Composition.type)

const compositionOf = (i: Item): Obj | undefined => {
  if (i.json === undefined) return undefined
  const c = i.type === 'Composition' ? i.json : i.type === 'Bundle' && str(i.json, 'type') === 'document' ? get(all(i.json, 'entry')[0], 'resource') : undefined
  return isObj(c) && str(c, 'resourceType') === 'Composition' ? c : undefined
}

/** summaryOf takes the newest summary document, in the order of its sections. */
export function summaryOf(chart: Chart): Summary {
  const found = chart.items.flatMap((item) => {
    const c = compositionOf(item)
    return c === undefined || item.wrong ? [] : [{ item, c, isIps: all(c, 'type', 'coding').some((x) => str(x, 'code') === ips) }]
  })
  const best = found.find((f) => f.isIps)
  return best === undefined ? made(chart) : { from: best.item, title: str(best.c, 'title') || concept(best.c, 'type'), sections: sectionsOf(best.item, best.c, chart) }
}

function sectionsOf(item: Item, c: Obj, chart: Chart): Section[] {
  const inside = new Map<string, Obj>()
  if (item.type === 'Bundle') {
    for (const e of all(item.json, 'entry')) {
      const r = get(e, 'resource')
      if (!isObj(r)) continue
      const full = str(e, 'fullUrl')
      if (full !== '') inside.set(full, r)
      inside.set(`${str(r, 'resourceType')}/${str(r, 'id')}`, r)
    }
  }
  const out: Section[] = []
  const walk = (s: Json, depth: number) => {
    if (out.length >= maxSections || depth > 8) return
    const items: Item[] = []
    const missing: string[] = []
    for (const e of all(s, 'entry')) {
      const ref = reference(e)
      const held = inside.get(ref)
      const there = held !== undefined ? within(item, held) : item.type === 'Bundle' ? undefined : chart.find(ref, item.source.author)
      if (there === undefined) missing.push(display(e) || ref)
      else items.push(there)
    }
    out.push({ title: str(s, 'title') || concept(s, 'code'), name: 'other', narrative: narrativeOf(s), items, missing, empty: concept(s, 'emptyReason') })
    for (const inner of all(s, 'section')) walk(inner, depth + 1)
  }
  for (const s of all(c, 'section')) walk(s, 0)
  return out
}

/** within shows a resource inside a document as one of its author. */
const within = (document: Item, j: Obj): Item | undefined => itemOf({ ...document.source, key: `${document.source.key}#${str(j, 'resourceType')}/${str(j, 'id')}` }, j)

function made(chart: Chart): Summary {
  const section = (name: SectionName, items: readonly Item[]): Section => ({ title: '', name, narrative: [], items, missing: [], empty: '' })
  const of = (type: string) => chart.items.filter((i) => i.type === type && !i.wrong)
  return {
    from: undefined,
    title: '',
    sections: [
      section('medications', chart.medications.active), section('allergies', chart.allergies.active), section('problems', chart.problems.active),
      section('immunizations', chart.immunizations.filter((i) => !i.wrong)), section('procedures', of('Procedure')), section('results', of('Observation').slice(0, 50)),
    ],
  }
}
