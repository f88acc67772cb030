/** What a clinician's chart shows of a resource: one line of plain text. Nothing here trusts a field to be what FHIR says. */
import { accountText } from '../core'
import { parseCode } from '../claim/code'
import { list, object, type Json, type Resource, str } from './fhir'

export interface Line {
  readonly key: string
  readonly type: string
  readonly text: string
  readonly detail: string
  readonly date: string
  /** sensitivity and confidentiality codes it bears */
  readonly labels: readonly string[]
  /** account of the member that wrote it; empty for this organisation's own */
  readonly author: string
}

/** concept is a CodeableConcept's text, else the first display or code. */
export function concept(x: Json | undefined): string {
  const c = object(x)
  if (str(c['text']) !== '') return str(c['text'])
  for (const one of list(c['coding']).map(object)) if (str(one['display']) !== '') return str(one['display'])
  return str(object(list(c['coding'])[0])['code'])
}

const quantity = (x: Json | undefined): string => {
  const q = object(x)
  const v = q['value']
  return typeof v === 'number' || typeof v === 'string' ? `${str(q['comparator'])}${v} ${str(q['unit']) || str(q['code'])}`.trim() : ''
}

/** nameOf is a HumanName's text or parts, of the first name there is. */
export function nameOf(patient: Resource): string {
  const n = object(list(patient['name'])[0])
  return str(n['text']) || [...list(n['given']).map(str), str(n['family'])].filter((s) => s !== '').join(' ')
}

function valueOf(r: Resource): string {
  const v = quantity(r['valueQuantity']) || str(r['valueString']) || concept(r['valueCodeableConcept'])
  if (v !== '') return v
  const parts = list(r['component']).map(object).map((c) => `${concept(c['code'])} ${quantity(c['valueQuantity']) || str(c['valueString']) || concept(c['valueCodeableConcept'])}`.trim())
  return parts.filter((p) => p !== '').join(', ')
}

/** noteOf is the text of a note: plain text in an attachment, whatever else it may be is not opened here. */
function noteOf(r: Resource): string {
  for (const c of list(r['content']).map(object)) {
    const a = object(c['attachment'])
    if (!str(a['contentType']).startsWith('text/plain') || str(a['data']) === '') continue
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(atob(str(a['data'])), (x) => x.charCodeAt(0)))
    } catch {
      return ''
    }
  }
  return ''
}

const dates = ['effectiveDateTime', 'onsetDateTime', 'authoredOn', 'occurrenceDateTime', 'performedDateTime', 'recordedDate', 'date', 'issued', 'created'] as const

function dateOf(r: Resource): string {
  for (const d of dates) if (str(r[d]) !== '') return str(r[d])
  for (const p of ['effectivePeriod', 'period', 'performedPeriod', 'onsetPeriod']) {
    const start = str(object(r[p])['start'])
    if (start !== '') return start
  }
  return ''
}

/** lineOf reads one resource. */
export function lineOf(r: Resource): Line {
  const type = str(r['resourceType'])
  const meta = object(r['meta'])
  const text =
    concept(r['code']) || concept(r['medicationCodeableConcept']) || concept(r['vaccineCode']) || str(object(r['medicationReference'])['display']) || str(r['description']) || concept(r['type']) || concept(list(r['type'])[0]) ||
    str(r['title']) || (type === 'Patient' ? nameOf(r) : '')
  const detail = type === 'DocumentReference' ? noteOf(r) : [valueOf(r), concept(r['clinicalStatus']), str(r['status'])].filter((s) => s !== '').join(' · ')
  return {
    key: `${type}/${str(r['id'])}`,
    type,
    text,
    detail,
    date: dateOf(r),
    labels: list(meta['security']).map((s) => str(object(s)['code'])).filter((s) => s !== '' && s !== 'N'),
    author: /:([0-9a-z]{26})#/i.exec(str(meta['source']))?.[1] ?? '',
  }
}

/** The kinds that a clinician looks for first; what is of another kind comes behind, none is left out. */
export const order = ['Condition', 'AllergyIntolerance', 'MedicationRequest', 'MedicationStatement', 'Observation', 'DiagnosticReport', 'Procedure', 'Immunization', 'DocumentReference', 'Encounter'] as const

/** groups are the lines by kind, newest first in each; the patient and what is about records rather than her are no lines. */
export function groups(resources: readonly Resource[]): readonly (readonly [string, readonly Line[]])[] {
  const by = new Map<string, Line[]>()
  for (const r of resources) {
    const type = str(r['resourceType'])
    if (['Patient', 'Provenance', 'AuditEvent', 'Organization', 'Practitioner', 'PractitionerRole', 'Location'].includes(type)) continue
    by.set(type, [...(by.get(type) ?? []), lineOf(r)])
  }
  const rank = (t: string) => {
    const at = (order as readonly string[]).indexOf(t)
    return at < 0 ? order.length : at
  }
  return [...by].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1)).map(([t, lines]) => [t, lines.sort((a, b) => (a.date < b.date ? 1 : a.date > b.date ? -1 : 0))] as const)
}

/** pseudonymIn finds an account in what was typed, pasted or scanned: a pseudonym, a claim code as JSON, a QR code's address. */
export function pseudonymIn(text: string): string | undefined {
  try {
    return accountText(parseCode(text).account)
  } catch {
    // no claim code: a pseudonym, perhaps
  }
  return /(?:^|[^0-9A-Za-z])([0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26})(?:$|[^0-9A-Za-z])/.exec(text)?.[1]
}
