import fc from 'fast-check'
import { expect, test } from 'vitest'
import { entriesOf, type Json, nextOf, type Resource } from './fhir'
import { accountText } from '../core'
import { claimLink, codeText } from '../claim/code'
import { groups, lineOf, pseudonymIn } from './line'
import { missing, resourceOf } from './write'

const account = '0123456789ABCDEFGHJKMNPQRS'

test('a pseudonym is found in what people type, paste and scan', () => {
  expect(pseudonymIn(account)).toBe(account)
  expect(pseudonymIn(` ${account.toLowerCase()}\n`)).toBe(account.toLowerCase())
  expect(pseudonymIn(JSON.stringify({ patient: account, secret: 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' }))).toBe(account)
  expect(pseudonymIn(`https://portal.example/#/claim?p=${account}&x=1`)).toBe(account)
  const of = { account: new Uint8Array(16).fill(7), secret: new Uint8Array(32).fill(9) }
  for (const c of [codeText(of), claimLink('https://portal.example', of)]) expect(pseudonymIn(c)).toBe(accountText(of.account))
  for (const none of ['', 'Smith', account.slice(1), `${account}0`, account.replace('A', 'I')]) expect(pseudonymIn(none)).toBeUndefined()
})

test('no resource breaks a chart or is left out of it', () => {
  const field = fc.constantFrom('resourceType', 'id', 'meta', 'code', 'name', 'content', 'valueQuantity', 'component', 'effectiveDateTime', 'type', 'period')
  fc.assert(
    fc.property(fc.array(fc.dictionary(field, fc.jsonValue() as fc.Arbitrary<Json>)), (all) => {
      const rs = all as Resource[]
      for (const r of rs) for (const v of Object.values(lineOf(r))) expect(typeof v === 'string' || Array.isArray(v)).toBe(true)
      const about = ['Patient', 'Provenance', 'AuditEvent', 'Organization', 'Practitioner', 'PractitionerRole', 'Location']
      expect(groups(rs).flatMap(([, l]) => l)).toHaveLength(rs.filter((r) => !about.some((t) => t === r['resourceType'])).length)
    }),
  )
})

test('a line says what, when, how much, how sensitive and from whom', () => {
  expect(
    lineOf({ resourceType: 'Observation', id: '1', status: 'final', code: { coding: [{ display: 'Glucose' }] }, valueQuantity: { value: 5.4, unit: 'mmol/L' }, effectiveDateTime: '2026-01-02', meta: { source: `urn:salus:member:${account}#Observation/7`, security: [{ code: 'PSY' }, { code: 'N' }] } }),
  ).toEqual({ key: 'Observation/1', type: 'Observation', text: 'Glucose', detail: '5.4 mmol/L · final', date: '2026-01-02', labels: ['PSY'], author: account })
})

test('a page that leads elsewhere is asked for here', () => {
  expect(nextOf({ link: [{ relation: 'self', url: 'x' }, { relation: 'next', url: 'http://127.0.0.1:1/fhir/Patient?_cursor=a' }] })).toBe('Patient?_cursor=a')
  expect(nextOf({ link: [{ relation: 'next', url: 'https://evil.example/?x' }] })).toBeUndefined()
  expect(entriesOf({ entry: [{ resource: { resourceType: 'OperationOutcome' } }, { resource: { resourceType: 'Patient' } }, 7] })).toHaveLength(1)
})

test('what is written is complete, labelled, and comes back as it was typed', () => {
  const draft = { kind: 'note', title: 'Visit', text: 'Grüße <script>alert(1)</script>', value: '', unit: '', label: 'PSY' } as const
  const r = resourceOf(draft, 'Patient/a', '2026-01-02T03:04:05Z')
  expect(lineOf(r)).toMatchObject({ text: 'Visit', detail: draft.text, labels: ['PSY'] })
  expect(r['subject']).toEqual({ reference: 'Patient/a' })
  expect(lineOf(resourceOf({ ...draft, kind: 'result', value: '5,4', unit: 'mmol/L', label: 'R' }, 'Patient/a', '2026-01-02')).detail).toBe('5.4 mmol/L · final')
  expect(resourceOf({ ...draft, kind: 'problem', label: '' }, 'Patient/a', '2026-01-02')['meta']).toBeUndefined()
  expect(missing({ ...draft, title: ' ' })).toBe('title')
  expect(missing({ ...draft, text: '' })).toBe('text')
  expect(missing({ ...draft, kind: 'result', text: '', value: '' })).toBe('value')
  expect(missing({ ...draft, kind: 'result', value: '1e9' })).toBe('value')
  expect(missing(draft)).toBeUndefined()
})
