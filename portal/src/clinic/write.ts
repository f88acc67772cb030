/** What a clinician can add: a note, a result, a problem. */
import type { Resource } from './fhir'

export type Kind = 'note' | 'result' | 'problem'

export interface Draft {
  readonly kind: Kind
  /** what it is called: the note's title, what was measured, the problem */
  readonly title: string
  /** the note's text, or a result in words */
  readonly text: string
  /** a result's number and unit; empty for none */
  readonly value: string
  readonly unit: string
  /** a sensitivity code of HL7 v3 ActCode, "R" for restricted, or empty */
  readonly label: string
}

/** missing is the first field that has to be filled in, or is none; undefined if the draft can be sent. */
export function missing(d: Draft): 'title' | 'text' | 'value' | undefined {
  if (d.title.trim() === '') return 'title'
  if (d.kind === 'note' && d.text.trim() === '') return 'text'
  if (d.kind === 'result' && d.value.trim() === '' && d.text.trim() === '') return 'value'
  if (d.kind === 'result' && d.value.trim() !== '' && !/^-?\d+([.,]\d+)?$/.test(d.value.trim())) return 'value'
  return undefined
}

const base64 = (s: string): string => {
  let out = ''
  for (const b of new TextEncoder().encode(s)) out += String.fromCharCode(b)
  return btoa(out)
}

const code = (system: string, c: string) => ({ system: `http://terminology.hl7.org/CodeSystem/${system}`, code: c })

/** resourceOf is the FHIR resource of a draft. when is an instant in ISO 8601. */
export function resourceOf(d: Draft, patient: string, when: string): Resource {
  const common = {
    subject: { reference: patient },
    ...(d.label === '' ? {} : { meta: { security: [code(d.label === 'R' ? 'v3-Confidentiality' : 'v3-ActCode', d.label)] } }),
  }
  const title = d.title.trim()
  switch (d.kind) {
    case 'note':
      return { resourceType: 'DocumentReference', ...common, status: 'current', description: title, date: when, content: [{ attachment: { contentType: 'text/plain', title, data: base64(d.text) } }] }
    case 'problem':
      return { resourceType: 'Condition', ...common, clinicalStatus: { coding: [code('condition-clinical', 'active')] }, code: { text: title }, recordedDate: when, ...(d.text.trim() === '' ? {} : { note: [{ text: d.text.trim() }] }) }
    case 'result': {
      const number = d.value.trim().replace(',', '.')
      const value = number === '' ? { valueString: d.text.trim() } : { valueQuantity: { value: Number(number), ...(d.unit.trim() === '' ? {} : { unit: d.unit.trim() }) } }
      return { resourceType: 'Observation', ...common, status: 'final', code: { text: title }, effectiveDateTime: when, ...value, ...(number !== '' && d.text.trim() !== '' ? { note: [{ text: d.text.trim() }] } : {}) }
    }
  }
}
