import fc from 'fast-check'
import { expect, test } from 'vitest'
import { complaints, type Counts, formatOf, mostMiB, steps } from './intake'

const counts = { Records: 2, Duplicates: 1, Rejected: 1, Patients: 1 }
const whole = [{ progress: counts }, { progress: counts }, { done: { ...counts, accounts: [], rejected: [{ index: 3, type: 'Observation', issue: { code: 'fhir-patient', text: 'whose?' } }], active: false } }].map((s) => JSON.stringify(s) + '\n').join('')

async function* cut(text: string, at: readonly number[]): AsyncGenerator<string> {
  let from = 0
  for (const a of [...at].sort((x, y) => x - y)) {
    yield text.slice(from, a)
    from = a
  }
  yield text.slice(from)
}

test('an import is followed however its lines are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(whole.length), { maxLength: 8 }), async (at) => {
      const seen: Counts[] = []
      const r = await steps(cut(whole, at), (c) => seen.push(c))
      expect(seen).toEqual([counts, counts])
      expect(r.rejected?.[0]?.issue?.code).toBe('fhir-patient')
    }),
  )
})

test('an import that broke off, or failed, is not called done', async () => {
  await expect(steps(cut(whole.split('\n')[0] + '\n', []), () => undefined)).rejects.toThrow('broke off')
  await expect(steps(cut('{"error":{"code":"too-large","text":"too large"}}\n', []), () => undefined)).rejects.toThrow('too large')
})

test('the format is known by the name', () => {
  expect(['a.ndjson', 'a.JSONL', 'a.json', 'bundle', 'a.XML', 'b.csv', 'b.toml', 'xml'].map(formatOf)).toEqual(['ndjson', 'ndjson', 'bundle', 'bundle', 'ccda', 'csv', 'mapping', 'bundle'])
})

test('everything that a document or table lost is listed', () => {
  const t = { created: 1, updated: 0, unchanged: 0, rows: { rows: 3, rejected: 1 }, rejected: [{ line: 4, column: 'born', code: 'csv-date' }], stopped: { line: 9, code: 'csv-quote' }, unmapped: [{ template: '2.16', path: '/a/b', reason: 'unknown' }] }
  expect(complaints(t)).toEqual([
    { at: '4', what: 'born', where: '', why: 'csv-date' },
    { at: '9', what: '', where: '', why: 'csv-quote' },
    { at: '', what: '2.16', where: '/a/b', why: 'unknown' },
  ])
  expect(complaints({ created: 0, updated: 0, unchanged: 0 })).toEqual([])
})

test('a file of resources may be as large as the gateway takes, a document as large as a record', () => {
  expect(['a.json', 'a.ndjson', 'a.csv', 'a.xml'].map((n) => mostMiB(formatOf(n)))).toEqual([1024, 1024, 256, 10])
})
