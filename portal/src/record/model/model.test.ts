import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bundleOf } from './bundle.ts'
import { buildChart, timeline } from './chart.ts'
import { parseWhen, sayWhen } from './date.ts'
import { documentsOf } from './documents.ts'
import { readItem, type Source } from './item.ts'
import { Decimal, type Json, parseJson } from './json.ts'
import { narrative, type Tree, words } from './narrative.ts'
import { groupResults } from './results.ts'
import { indexItems, search } from './search.ts'
import { summaryOf } from './summary.ts'
import { clean, fold } from './value.ts'

let n = 0
const source = (body: unknown, more: Partial<Source> = {}): Source => {
  n++
  return { key: `k${n}`, author: 'hospital', time: 1_700_000_000 + n, log: n, body: new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body)), ...more }
}
const observation = (value: string, unit: string, date: string, more: object = {}) =>
  source(`{"resourceType":"Observation","id":"o${n}","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2345-7","display":"Glucose"}]},"effectiveDateTime":"${date}","valueQuantity":{"value":${value},"unit":"${unit}","system":"http://unitsofmeasure.org","code":"${unit}"}${JSON.stringify(more).slice(1, -1).replace(/^(?=.)/, ',')}}`)

describe('JSON', () => {
  test('a number keeps the text in which it was sent', () => {
    const j = parseJson('[1.10, 1e3, -0, 12345678901234567890.000]')
    expect((j as Decimal[]).map((d) => d.text)).toEqual(['1.10', '1e3', '-0', '12345678901234567890.000'])
  })
  test('what JSON.parse reads is read alike, and what it refuses is refused', () => {
    const plain = (j: Json): unknown => (j instanceof Decimal ? Number(j.text) : j instanceof Map ? Object.fromEntries([...j].map(([k, v]) => [k, plain(v as Json)])) : Array.isArray(j) ? j.map((x) => plain(x as Json)) : j)
    fc.assert(fc.property(fc.json({ maxDepth: 6 }), (s) => {
      fc.pre(!s.includes('__proto__'))
      expect(JSON.stringify(plain(parseJson(s)))).toBe(JSON.stringify(JSON.parse(s)))
    }))
    fc.assert(fc.property(fc.string(), (s) => {
      let ok = true
      try { JSON.parse(s) } catch { ok = false }
      if (!ok) expect(() => parseJson(s)).toThrow(SyntaxError)
    }))
  })
  test('a name that comes twice, and depth without end, are refused', () => {
    expect(() => parseJson('{"a":1,"a":2}')).toThrow(SyntaxError)
    expect(() => parseJson('['.repeat(100_000))).toThrow(SyntaxError)
  })
  test('a name that JavaScript knows is a name like any other', () => {
    expect(({} as { x?: unknown }).x).toBeUndefined()
    parseJson('{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}')
    expect(({} as { x?: unknown }).x).toBeUndefined()
  })
})

describe('dates', () => {
  test('are no more exact than they were sent', () => {
    const say = (s: string) => { const w = parseWhen(s); return w && sayWhen(w, 'en') }
    expect(say('2019')).toBe('2019')
    expect(say('2019-05')).toBe('May 2019')
    expect(say('2019-05-07')).toBe('May 7, 2019')
    expect(say('2019-05-07T08:09:10+02:00')).toBe('May 7, 2019, 08:09 (UTC+02:00)')
  })
  test('that do not exist are none', () => {
    for (const s of ['2019-02-29', '2019-13', '0000', '2019-05-07T25:00:00Z', '20190507', '2019-05-07 08:00', '']) expect(parseWhen(s), s).toBeUndefined()
  })
  test('take any text', () => fc.assert(fc.property(fc.string(), (s) => { const w = parseWhen(s); if (w !== undefined) sayWhen(w, 'de') })))
})

const allowed = new Set(['p', 'div', 'span', 'strong', 'em', 'ul', 'ol', 'li', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'br', 'hr', 'pre', 'code', 'sub', 'sup', 'blockquote'])
const check = (t: Tree, depth = 0): void => {
  expect(depth).toBeLessThan(100)
  for (const c of t) {
    if (typeof c === 'string') continue
    expect(allowed.has(c.tag)).toBe(true)
    expect(Object.keys(c).sort()).toEqual(['children', 'tag'])
    check(c.children, depth + 1)
  }
}

describe('narrative', () => {
  test('keeps structure and words', () => {
    const t = narrative('<div xmlns="http://www.w3.org/1999/xhtml"><p>Blood &lt; 5 &amp; <b onclick="x()">high</b></p><ul><li>one</li></ul></div>')
    expect(words(t).trim()).toBe('Blood < 5 & high\none')
    check(t)
  })
  test('program, style and what is embedded are nothing', () => {
    for (const s of ['<script>alert(1)</script>', '<style>*{}</style>', '<svg><script>alert(1)</script></svg>', '<iframe srcdoc="<script>alert(1)</script>"></iframe>', '<object>alert(1)</object>', '<!--alert(1)-->', '<![CDATA[alert(1)]]>', '<img src=x onerror=alert(1)>']) expect(words(narrative(`<div>a${s}b</div>`)).replace(/\s/g, ''), s).toBe('ab')
  })
  test('an escaped element is words', () => expect(words(narrative('<div>&lt;script&gt;alert(1)&lt;/script&gt;</div>')).trim()).toBe('<script>alert(1)</script>'))
  test('whatever it is given, it is a tree of few elements', () => {
    const piece = fc.oneof(fc.string(), fc.constantFrom('<div>', '</div>', '<table>', '<tr>', '<td>', '</tr>', '<ul>', '<li>', '</ul>', '<script>', '</script>', '<img src=x onerror=alert(1)>', '<!--', ']]>', '&#0;', '&#x110000;', '<a href="javascript:alert(1)">'))
    fc.assert(fc.property(fc.array(piece, { maxLength: 60 }), (p) => check(narrative(p.join('')))), { numRuns: 500 })
  })
  test('ends soon, however long', () => {
    const from = performance.now()
    for (const s of ['<a', '<a "', '<', '<div>', '<!--', '&#', '<td><table>']) check(narrative(s.repeat(100_000)))
    expect(performance.now() - from).toBeLessThan(5000)
  })
})

describe('items', () => {
  test('whatever bytes come, there is an item, and nothing is left out', () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (list) => {
      const chart = buildChart(list.map((body) => source('', { body })))
      expect(chart.items.length).toBe(list.length)
      expect(timeline(chart).flatMap((d) => d.visits).flatMap((v) => v.items).length).toBe(list.length)
    }))
  })
  test('whatever JSON stands in a resource, every view of it can be made', () => {
    const types = fc.constantFrom('Patient', 'Observation', 'Condition', 'MedicationRequest', 'DocumentReference', 'Bundle', 'Composition', 'Encounter', 'Immunization', 'Oddity')
    const names = fc.constantFrom('code', 'coding', 'text', 'div', 'display', 'valueQuantity', 'value', 'component', 'referenceRange', 'low', 'section', 'entry', 'resource', 'content', 'attachment', 'data', 'contentType', 'status', 'encounter', 'reference', 'effectiveDateTime', 'name', 'given', 'dosageInstruction')
    const value = fc.letrec<{ v: unknown }>((tie) => ({ v: fc.oneof({ maxDepth: 5 }, fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.array(tie('v'), { maxLength: 3 }), fc.dictionary(names, tie('v'), { maxKeys: 5 })) })).v
    fc.assert(fc.property(fc.array(fc.tuple(types, fc.dictionary(names, value, { maxKeys: 8 })), { maxLength: 6 }), (list) => {
      const chart = buildChart(list.map(([resourceType, r]) => source({ resourceType, ...r })))
      groupResults(chart.items)
      documentsOf(chart)
      summaryOf(chart)
      search(indexItems(chart.items), 'a')
      expect(chart.items.length).toBe(list.length)
    }), { numRuns: 300 })
  })
  test('an unknown type is listed under its own name', () => {
    const chart = buildChart([source({ resourceType: 'SubstanceProtein', id: 'x' })])
    expect(chart.others.map((i) => [i.kind, i.type])).toEqual([['other', 'SubstanceProtein']])
  })
  test('a later version replaces the earlier of the same author alone', () => {
    const c = (text: string, author: string) => source({ resourceType: 'Condition', id: 'a', code: { text } }, { author })
    const chart = buildChart([c('first', 'hospital'), c('second', 'hospital'), c('other', 'clinic')])
    expect(chart.items.map((i) => [i.title, i.older.length]).sort()).toEqual([['other', 0], ['second', 1]])
  })
  test('what was entered in error is not among what holds now', () => {
    const chart = buildChart([source({ resourceType: 'Condition', id: 'a', verificationStatus: { coding: [{ code: 'entered-in-error' }] } }), source({ resourceType: 'Condition', id: 'b', clinicalStatus: { coding: [{ code: 'resolved' }] } }), source({ resourceType: 'Condition', id: 'c' })])
    expect([chart.problems.active.map((i) => i.id), chart.problems.past.map((i) => i.id).sort()]).toEqual([['c'], ['a', 'b']])
  })
  test('marks that turn the direction of text are taken out', () => {
    expect(clean('a\u202etxt.exe\u0000')).toBe('atxt.exe')
    expect(readItem(source({ resourceType: 'Condition', code: { text: 'a\u202eb' } })).title).toBe('ab')
  })
})

describe('results', () => {
  test('a series never holds two units, and decimals are shown as sent', () => {
    const g = groupResults(buildChart([observation('5.10', 'mmol/L', '2024-01-01'), observation('92', 'mg/dL', '2024-02-01'), observation('5.50', 'mmol/L', '2023-01-01')]).items)
    expect(g.length).toBe(1)
    expect(g[0]?.series.map((s) => [s.unit, s.points.map((p) => p.text)]).sort()).toEqual([['mg/dL', ['92 mg/dL']], ['mmol/L', ['5.50 mmol/L', '5.10 mmol/L']]])
  })
  test('whatever units come, each series has one', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom('mg', 'g', 'kg', ''), fc.integer({ min: 0, max: 999 })), { maxLength: 30 }), (list) => {
      const units = new Map(list.map(([u, v], i) => [`${v}|${i}`, u]))
      const g = groupResults(buildChart(list.map(([u, v]) => observation(String(v), u, '2024-01-01'))).items)
      for (const s of g.flatMap((x) => x.series)) for (const p of s.points) expect(p.text.endsWith(s.unit)).toBe(true)
      expect(g.flatMap((x) => x.series).reduce((a, s) => a + s.points.length, 0)).toBe(units.size)
    }))
  })
  test('below a limit, undated, in error: in the table, not in the chart', () => {
    const below = source({ resourceType: 'Observation', id: 'b', code: { text: 'CRP' }, effectiveDateTime: '2024-01-01', valueQuantity: { comparator: '<', value: 5, unit: 'mg/L' } })
    const undated = source({ resourceType: 'Observation', id: 'u', code: { text: 'CRP' }, valueQuantity: { value: 5, unit: 'mg/L' } })
    const wrong = source({ resourceType: 'Observation', id: 'w', status: 'entered-in-error', code: { text: 'CRP' }, effectiveDateTime: '2024-01-01', valueQuantity: { value: 500, unit: 'mg/L' } })
    const g = groupResults(buildChart([below, undated, wrong]).items)
    expect([g[0]?.readings.length, g[0]?.series.length]).toEqual([3, 0])
  })
  test('a reference range in another unit draws no band', () => {
    const g = groupResults(buildChart([observation('5', 'mmol/L', '2024-01-01', { referenceRange: [{ low: { value: 70, unit: 'mg/dL', system: 'http://unitsofmeasure.org', code: 'mg/dL' } }] })]).items)
    expect(g[0]?.series[0]?.low).toBeUndefined()
  })
  test('components are results of their own', () => {
    const bp = source({ resourceType: 'Observation', id: 'bp', code: { text: 'Blood pressure' }, effectiveDateTime: '2024-01-01', component: [{ code: { text: 'Systolic' }, valueQuantity: { value: 120, unit: 'mmHg' } }, { code: { text: 'Diastolic' }, valueQuantity: { value: 80, unit: 'mmHg' } }] })
    expect(groupResults(buildChart([bp]).items).map((g) => g.title)).toEqual(['Blood pressure – Diastolic', 'Blood pressure – Systolic'])
  })
})

describe('documents', () => {
  const doc = (attachment: object) => documentsOf(buildChart([source({ resourceType: 'DocumentReference', id: 'd', content: [{ attachment }] })]))[0]?.attachments[0]
  test('only what is allowed, and is what it says, is opened', () => {
    expect(doc({ contentType: 'text/plain; charset=utf-8', data: btoa('hello') })).toMatchObject({ state: 'here', media: 'text' })
    expect(doc({ contentType: 'application/pdf', data: btoa('%PDF-1.4 x') })).toMatchObject({ state: 'here', media: 'pdf' })
    expect(doc({ contentType: 'application/pdf', data: btoa('<html>') })).toMatchObject({ state: 'broken' })
    for (const t of ['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/xml', 'application/javascript', '', 'TEXT/HTML']) expect(doc({ contentType: t, data: btoa('<svg onload=alert(1)>') }), t).toMatchObject({ state: 'refused' })
    expect(doc({ contentType: 'image/png', data: 'not base64!' })).toMatchObject({ state: 'broken' })
  })
  test('a link is shown and not followed; a Binary of the record is found', () => {
    expect(doc({ contentType: 'application/pdf', url: 'https://elsewhere.example/x.pdf' })).toMatchObject({ state: 'kept' })
    const list = documentsOf(buildChart([source({ resourceType: 'DocumentReference', id: 'd', content: [{ attachment: { url: 'Binary/b', title: 'T' } }] }), source({ resourceType: 'Binary', id: 'b', contentType: 'text/plain', data: btoa('hello') })]))
    expect(list.map((d) => d.item.type)).toEqual(['DocumentReference'])
    expect(list[0]?.attachments[0]).toMatchObject({ state: 'here', title: 'T' })
  })
})

test('search does not care for case and diacritics', () => {
  const index = indexItems(buildChart([source({ resourceType: 'Condition', id: 'a', code: { text: 'Ménière-Krankheit, große' } })]).items)
  expect(search(index, 'MENIERE gross').length).toBe(1)
  expect(search(index, 'nothing')).toEqual([])
  expect(search(index, '  ')).toEqual([])
  fc.assert(fc.property(fc.string(), (s) => { expect(fold(fold(s))).toBe(fold(s)) }))
})

test('the summary has the order of its document, and says what it lacks', () => {
  const doc = source({
    resourceType: 'Bundle', id: 's', type: 'document',
    entry: [
      { fullUrl: 'urn:uuid:c', resource: { resourceType: 'Composition', id: 'c', title: 'Summary', type: { coding: [{ code: '60591-5' }] }, section: [{ title: 'Second first', entry: [{ reference: 'urn:uuid:p' }] }, { title: 'Then', entry: [{ reference: 'urn:uuid:gone', display: 'Gone' }] }] } },
      { fullUrl: 'urn:uuid:p', resource: { resourceType: 'Condition', id: 'p', code: { text: 'Asthma' } } },
    ],
  })
  const s = summaryOf(buildChart([doc]))
  expect(s.sections.map((x) => [x.title, x.items.map((i) => i.title), x.missing])).toEqual([['Second first', ['Asthma'], []], ['Then', [], ['Gone']]])
  expect(summaryOf(buildChart([])).from).toBeUndefined()
})

test('the bundle holds each resource byte by byte', async () => {
  const odd = '\ufeff {"resourceType":"Observation", "id":"o1",\n "valueQuantity":{"value":1.10},"note":"é"} \n'
  const chart = buildChart([source(odd), source('junk'), source({ resourceType: 'Patient', id: 'p' })])
  const { parts, left } = bundleOf(chart.items, new Date(0))
  const text = await new Blob(parts).text()
  expect(left).toBe(1)
  expect(text).toContain(odd.replace('\ufeff', '').trim())
  expect(JSON.parse(text)).toMatchObject({ resourceType: 'Bundle', type: 'collection', entry: [{}, {}] })
})

test('500 records are ready in a part of a second', () => {
  const list = Array.from({ length: 500 }, (_, i) => observation(`${i}.0`, 'mmol/L', `20${String(10 + (i % 14))}-01-01`))
  buildChart(list)
  const from = performance.now()
  const chart = buildChart(list)
  timeline(chart)
  groupResults(chart.items)
  expect(performance.now() - from).toBeLessThan(1000)
})
