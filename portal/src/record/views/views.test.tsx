import { MantineProvider } from '@mantine/core'
import { type ComponentType, createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { beforeAll, expect, test } from 'vitest'
import { TextProvider } from '../../app/text/text'
import { buildChart, type Chart } from '../model/chart.ts'
import { narrative } from '../model/narrative.ts'
import { Documents } from './Documents'
import { Find } from './Find'
import { Allergies, Immunizations, Medications, Problems } from './lists'
import { Narrative, type Names } from './parts'
import { ticks } from './Plot'
import { Results } from './Results'
import { SummaryView } from './SummaryView'
import { Timeline } from './Timeline'

beforeAll(() => {
  const kept = { getItem: () => null, setItem: () => undefined }
  Object.defineProperty(globalThis, 'localStorage', { value: kept, configurable: true })
  Object.defineProperty(globalThis, 'navigator', { value: { languages: ['en'] }, configurable: true })
})

const evil = ['<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '"><svg/onload=alert(1)>', "javascript:alert(1)//'", '{{constructor}}', '</title><iframe srcdoc=x>']
const types = ['Patient', 'Encounter', 'Condition', 'MedicationRequest', 'AllergyIntolerance', 'Immunization', 'Observation', 'DiagnosticReport', 'DocumentReference', 'Composition', 'Procedure', 'Oddity']

/** hostile fills every text field that a view reads with a string. */
const hostile = (resourceType: string, x: string, i: number) => ({
  resourceType, id: x, status: x, title: x, description: x, conclusion: x, lotNumber: x, authoredOn: x, effectiveDateTime: `20${10 + i}`, date: x,
  code: { text: x, coding: [{ system: x, code: x, display: x }] }, vaccineCode: { text: x }, medicationCodeableConcept: { text: x }, type: { text: x, coding: [{ code: '60591-5', display: x }] },
  clinicalStatus: { text: x }, category: [{ text: x }], severity: { text: x }, criticality: x, interpretation: [{ text: x }],
  valueQuantity: { value: i, unit: x }, referenceRange: [{ text: x }], note: [{ text: x }], dosageInstruction: [{ text: x }], reaction: [{ manifestation: [{ text: x }] }],
  performer: [{ display: x }], recorder: { display: x }, encounter: { reference: x }, name: [{ text: x }], text: { div: `<div>${x}</div>` },
  content: [{ attachment: { contentType: x, title: x, url: x } }, { attachment: { contentType: 'text/html', data: btoa(x), title: x } }],
  section: [{ title: x, text: { div: `<div onclick="alert(1)">${x}</div>` }, entry: [{ reference: x, display: x }] }],
})

const chartOf = (list: readonly object[], author = 'hospital') => buildChart(list.map((j, i) => ({ key: `k${i}`, author, time: 1, log: i, body: new TextEncoder().encode(JSON.stringify(j)) })))
const views: readonly ComponentType<{ chart: Chart; names: Names }>[] = [Timeline, Problems, Medications, Allergies, Immunizations, Results, Documents, Find, SummaryView]
const markup = (view: ComponentType<{ chart: Chart; names: Names }>, chart: Chart, names: Names = new Map()) =>
  renderToStaticMarkup(createElement(MantineProvider, { withCssVariables: false, withGlobalClasses: false, children: createElement(TextProvider, { children: createElement(view, { chart, names }) }) }))

/** tagsOf gives each start tag of markup that React made: quotes in attributes are escaped. */
const tagsOf = (html: string) => [...html.matchAll(/<([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+(?:="[^"]*")?)*)\s*\/?>/g)]
const may = new Set(['section', 'h2', 'h3', 'h4', 'p', 'ul', 'li', 'div', 'strong', 'span', 'time', 'details', 'summary', 'button', 'select', 'option', 'input', 'label', 'table', 'caption', 'thead', 'tbody', 'tr', 'th', 'td', 'figure', 'figcaption', 'svg', 'g', 'rect', 'line', 'text', 'polyline', 'circle', 'em', 'code', 'pre', 'br', 'hr', 'path'])

function harmless(html: string): void {
  const tags = tagsOf(html)
  expect(html.split('<').length - 1).toBe(tags.length + (html.match(/<\//g)?.length ?? 0)) // no < that is not a tag's
  for (const [, name = '', attributes = ''] of tags) {
    expect(may.has(name), name).toBe(true)
    for (const a of attributes.matchAll(/\s([a-zA-Z:-]+)(?:="([^"]*)")?/g)) {
      expect(/^on|^srcdoc$|^href$|^src$|^action$|^formaction$/i.test(a[1] ?? ''), a[0]).toBe(false)
    }
  }
}

test('nothing runs, whatever stands in any text of any resource', () => {
  for (const x of evil) {
    const chart = chartOf(types.flatMap((t, i) => [hostile(t, x, i), hostile(t, `${x}2`, i)]), x)
    for (const v of views) harmless(markup(v, chart, new Map([[x, x]])))
  }
})

test('narrative becomes elements without attributes', () => {
  const html = markup(() => createElement(Narrative, { tree: narrative('<div><p style="x" onclick="alert(1)">a<b>b</b></p><a href="javascript:alert(1)">c</a><table><tr><td>d</td></tr></table></div>') }), chartOf([]))
  harmless(html)
  expect(html).toContain('<div><p>a<strong>b</strong></p>c<table><tr><td>d</td></tr></table></div>')
})

test('empty views teach', () => {
  for (const v of views) expect(markup(v, chartOf([])).length).toBeGreaterThan(100)
})

test('a chart has a name, a table beside it, and one point in the tab order', () => {
  const o = (value: number, year: number) => ({ resourceType: 'Observation', id: String(year), code: { text: 'Glucose' }, effectiveDateTime: String(year), valueQuantity: { value, unit: 'mmol/L' }, referenceRange: [{ low: { value: 4, unit: 'mmol/L' }, high: { value: 6, unit: 'mmol/L' } }] })
  const html = markup(Results, chartOf([o(5, 2020), o(7, 2021), o(6, 2022)]))
  expect(html).toContain('Chart of Glucose: 3 values in mmol/L, from 2020 to 2022')
  expect(html.match(/<circle[^>]*tabindex="0"/gi)?.length).toBe(1)
  expect(html).toContain('class="band"')
  expect(html.match(/<tr>/g)?.length).toBe(4)
})

test('ticks span what is drawn', () => {
  for (const [low, high] of [[0, 1], [5, 5], [0, 0], [-3, 12345], [0.001, 0.002], [1e14, 1e14 + 1]] as const) {
    const t = ticks(low, high, 5)
    expect(t.length).toBeGreaterThan(1)
    expect(t[0]).toBeLessThanOrEqual(low)
    expect(t[t.length - 1]).toBeGreaterThanOrEqual(high)
  }
})
