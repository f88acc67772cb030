/** One record as it is shown: what it is, when, from whom, and its facts in order. */
import { readJson, type Json, type Obj } from './json.ts'
import { type When, whenOf } from './date.ts'
import { all, clean, codes, concept, display, get, isObj, quantity, reference, str } from './value.ts'
import { narrative, type Tree } from './narrative.ts'

/** Target names a record to the ledger: its batch's header hash, and its manifest leaf. */
export interface Target {
  readonly batch: Uint8Array
  readonly leaf: Uint8Array
}

/** Source is a record as it was opened: its exact bytes, or why it could not be. */
export interface Source {
  /** names it among the others */
  readonly key: string
  /** the organisation that sealed it, as text of its account */
  readonly author: string
  /** when the ledger anchored it, unix seconds */
  readonly time: number
  /** its place in the ledger's log: later is greater */
  readonly log: number
  readonly body?: Uint8Array
  /** what a request that erases it has to name: itself, and the index record that says what it is */
  readonly targets?: readonly Target[]
  /** why it could not be opened, for those who can do something about it */
  readonly error?: string
}

/** FactName is what a fact is about; the catalogue has a string for each. */
export type FactName = 'status' | 'clinical' | 'verified' | 'severity' | 'category' | 'value' | 'range' | 'interpretation' | 'dose' | 'reason' | 'reaction' | 'critical' | 'by' | 'place' | 'started' | 'ended' | 'lot' | 'site' | 'note' | 'outcome' | 'about' | 'intent'

export interface Fact {
  readonly name: FactName
  readonly value: string
}

/** kind: known has a view of its own; other is listed with its narrative and source; unreadable is not FHIR JSON, or was not opened. */
export interface Item {
  readonly source: Source
  readonly kind: 'known' | 'other' | 'unreadable'
  readonly type: string
  readonly id: string
  readonly title: string
  readonly when: When | undefined
  readonly facts: readonly Fact[]
  /** "Encounter/id" that it belongs to */
  readonly encounter: string
  /** its author says that it should not have been written */
  readonly wrong: boolean
  readonly json: Obj | undefined
  /** the versions that this one replaces, the oldest first */
  older: readonly Source[]
}

/** Those with a view of their own; every other type is listed under its own name. */
export const known: ReadonlySet<string> = new Set(['Patient', 'Encounter', 'Condition', 'MedicationRequest', 'MedicationStatement', 'MedicationAdministration', 'MedicationDispense', 'Medication', 'AllergyIntolerance', 'Immunization', 'Observation', 'DiagnosticReport', 'DocumentReference', 'Media', 'Binary', 'Procedure', 'CarePlan', 'CareTeam', 'Composition', 'Bundle', 'ImagingStudy', 'ServiceRequest', 'FamilyMemberHistory', 'Goal', 'Device', 'DeviceUseStatement', 'Specimen', 'Flag', 'ClinicalImpression', 'Communication', 'Appointment', 'QuestionnaireResponse'])

const dates: Readonly<Record<string, readonly string[]>> = {
  Condition: ['onsetDateTime', 'onsetPeriod', 'recordedDate'],
  AllergyIntolerance: ['onsetDateTime', 'recordedDate'],
  Immunization: ['occurrenceDateTime', 'recorded'],
  MedicationRequest: ['authoredOn'],
  MedicationStatement: ['effectiveDateTime', 'effectivePeriod', 'dateAsserted'],
  MedicationDispense: ['whenHandedOver', 'whenPrepared'],
  Patient: ['nothing'],
}
const anyDate = ['effectiveDateTime', 'effectivePeriod', 'effectiveInstant', 'performedDateTime', 'performedPeriod', 'occurrenceDateTime', 'occurrencePeriod', 'started', 'period', 'date', 'authoredOn', 'authored', 'created', 'createdDateTime', 'timestamp', 'sent', 'start', 'issued', 'recordedDate', 'recorded'] as const

function personName(j: Json | undefined): string {
  const n = get(j, 'name')
  return str(n, 'text') || [...all(n, 'given').map((g) => str(g)), str(n, 'family')].filter((s) => s !== '').join(' ')
}

/** medicationOf names a medication: by its concept, or whom its reference displays, or what is contained. */
export function medicationOf(j: Obj): string {
  const own = concept(j, 'medicationCodeableConcept') || display(get(j, 'medicationReference'))
  if (own !== '') return own
  const ref = reference(get(j, 'medicationReference'))
  const held = ref.startsWith('#') ? all(j, 'contained').find((c) => `#${str(c, 'id')}` === ref) : undefined
  return concept(held, 'code')
}

function titleOf(type: string, j: Obj): string {
  switch (type) {
    case 'Patient': return personName(j)
    case 'Immunization': return concept(j, 'vaccineCode')
    case 'MedicationRequest':
    case 'MedicationStatement':
    case 'MedicationAdministration':
    case 'MedicationDispense': return medicationOf(j)
    case 'Encounter': return concept(j, 'type') || concept(j, 'reasonCode') || str(j, 'class', 'display') || str(j, 'class', 'code')
    case 'DocumentReference': return str(j, 'description') || concept(j, 'type') || str(j, 'content', 'attachment', 'title')
    case 'Media': return str(j, 'content', 'title') || concept(j, 'type') || concept(j, 'bodySite')
    case 'ImagingStudy': return str(j, 'description') || concept(j, 'procedureCode') || str(j, 'modality', 'display') || str(j, 'modality', 'code')
    case 'Composition': return str(j, 'title') || concept(j, 'type')
    case 'Bundle': return str(get(j, 'entry'), 'resource', 'title')
    case 'FamilyMemberHistory': return [concept(j, 'relationship'), concept(get(j, 'condition'), 'code')].filter((s) => s !== '').join(': ')
    default: return concept(j, 'code') || str(j, 'title') || concept(j, 'type') || str(j, 'description') || concept(j, 'category') || str(j, 'name')
  }
}

/** valueOf says what was measured or found, as it was sent. */
export function valueOf(j: Json | undefined): string {
  const q = quantity(get(j, 'valueQuantity'))
  if (q !== '') return q
  const texts = [concept(j, 'valueCodeableConcept'), str(j, 'valueString'), str(j, 'valueInteger'), str(j, 'valueDateTime'), str(j, 'valueTime')]
  const found = texts.find((s) => s !== '')
  if (found !== undefined) return found
  const flag = get(j, 'valueBoolean')
  if (typeof flag === 'boolean') return flag ? '+' : '−'
  const range = get(j, 'valueRange')
  if (isObj(range)) return `${quantity(get(range, 'low'))} – ${quantity(get(range, 'high'))}`
  const ratio = get(j, 'valueRatio')
  return isObj(ratio) ? `${quantity(get(ratio, 'numerator'))} : ${quantity(get(ratio, 'denominator'))}` : concept(j, 'dataAbsentReason')
}

/** rangeOf says a reference range as it was sent. */
export function rangeOf(j: Json | undefined): string {
  const r = get(j, 'referenceRange')
  const low = quantity(get(r, 'low'))
  const high = quantity(get(r, 'high'))
  return str(r, 'text') || (low === '' && high === '' ? '' : low === '' ? `≤ ${high}` : high === '' ? `≥ ${low}` : `${low} – ${high}`)
}

function factsOf(j: Obj): Fact[] {
  const out: Fact[] = []
  const add = (name: FactName, ...values: readonly string[]) => {
    const value = [...new Set(values.filter((v) => v !== ''))].join(', ')
    if (value !== '') out.push({ name, value })
  }
  const concepts = (...path: readonly string[]) => all(j, ...path).map((c) => concept(c))
  add('value', valueOf(j), ...all(j, 'component').map((c) => [concept(c, 'code'), valueOf(c)].filter((s) => s !== '').join(' ')))
  add('range', rangeOf(j))
  add('interpretation', ...concepts('interpretation'))
  add('clinical', ...concepts('clinicalStatus'))
  add('verified', ...concepts('verificationStatus'))
  add('status', str(j, 'status'))
  add('intent', str(j, 'intent'))
  add('severity', concept(j, 'severity'))
  add('critical', str(j, 'criticality'))
  add('category', ...concepts('category'))
  add('dose', ...[...all(j, 'dosageInstruction'), ...all(j, 'dosage')].map((d) => str(d, 'text') || [quantity(get(d, 'doseAndRate', 'doseQuantity')) || quantity(get(d, 'dose')), concept(d, 'route')].filter((s) => s !== '').join(' ')))
  add('reaction', ...all(j, 'reaction').flatMap((r) => all(r, 'manifestation').map((m) => concept(m))))
  add('reason', ...concepts('reasonCode'), ...all(j, 'reasonReference').map(display))
  add('outcome', concept(j, 'outcome'), str(j, 'conclusion'))
  add('by', ...['performer', 'recorder', 'asserter', 'requester', 'author', 'participant'].flatMap((f) => all(j, f).map((p) => display(p) || display(get(p, 'actor')) || display(get(p, 'individual')))))
  add('place', display(get(j, 'serviceProvider')), display(get(j, 'custodian')), display(get(j, 'location', 'location')), display(get(j, 'location')))
  add('site', ...concepts('bodySite'), concept(j, 'site'))
  add('lot', str(j, 'lotNumber'))
  add('ended', str(j, 'abatementDateTime') || str(j, 'period', 'end') || str(j, 'performedPeriod', 'end') || str(j, 'effectivePeriod', 'end'))
  add('note', ...all(j, 'note').map((n) => str(n, 'text')))
  return out
}

/** readItem turns opened bytes into an item. Whatever they are, it gives one. */
export function readItem(source: Source): Item {
  const blank = { source, title: '', id: '', when: undefined, facts: [], encounter: '', wrong: false, json: undefined, older: [] }
  if (source.body === undefined) return { ...blank, kind: 'unreadable', type: '' }
  let j: Json
  try {
    j = readJson(source.body)
  } catch {
    return { ...blank, kind: 'unreadable', type: '' }
  }
  return itemOf(source, j) ?? { ...blank, kind: 'unreadable', type: '' }
}

/** itemOf is readItem for a resource that was read already; undefined if it is none. */
export function itemOf(source: Source, j: Json): Item | undefined {
  const type = str(j, 'resourceType')
  if (!isObj(j) || !/^[A-Z][A-Za-z]{1,63}$/.test(type)) return undefined
  return {
    source, type, kind: known.has(type) ? 'known' : 'other',
    id: str(j, 'id'), title: titleOf(type, j), when: whenOf(j, ...(dates[type] ?? anyDate)), facts: factsOf(j),
    encounter: type === 'Encounter' ? `Encounter/${str(j, 'id')}` : reference(get(j, 'encounter')) || reference(get(j, 'context')) || reference(get(j, 'context', 'encounter')),
    wrong: str(j, 'status') === 'entered-in-error' || codes(get(j, 'verificationStatus')).includes('entered-in-error'),
    json: j, older: [],
  }
}

/** narrativeOf reads an item's narrative when it is to be shown. */
export function narrativeOf(j: Json | undefined): Tree {
  const div = get(j, 'text', 'div')
  return typeof div === 'string' ? narrative(div) : []
}

/** textsOf gives every string under a value that a person could read, bounded: for search. */
export function textsOf(j: Json | undefined, out: string[] = [], depth = 0): string[] {
  if (out.length > 400 || depth > 12) return out
  if (Array.isArray(j)) for (const x of j as readonly Json[]) textsOf(x, out, depth + 1)
  else if (isObj(j)) {
    for (const [name, v] of j) {
      if (typeof v === 'string') {
        if (shown.has(name)) out.push(clean(v))
      } else textsOf(v, out, depth + 1)
    }
  }
  return out
}
const shown = new Set(['text', 'display', 'title', 'description', 'valueString', 'conclusion', 'name', 'family', 'unit', 'code', 'lotNumber', 'status', 'comment'])
