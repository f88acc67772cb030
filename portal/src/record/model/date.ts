/** FHIR dates: what is not known is not made up. FHIR R4 section 2.24.0.1 (date, dateTime, instant). */
import { type Json } from './json.ts'
import { get, str } from './value.ts'

export type Precision = 'year' | 'month' | 'day' | 'time'

/** When is a date as it was sent. The clock is that of the place where it was written down. */
export interface When {
  readonly text: string
  readonly precision: Precision
  readonly year: number
  readonly month: number
  readonly day: number
  /** hh:mm, and the zone as sent, where there is a time */
  readonly clock: string
  readonly zone: string
  /** milliseconds for ordering and drawing; the beginning of what is not more precise */
  readonly at: number
}

const form = /^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?)?)?$/
const days = (y: number, m: number) => new Date(Date.UTC(y, m, 0)).getUTCDate()

/** parseWhen reads a date; undefined for what is none. */
export function parseWhen(text: string): When | undefined {
  const m = form.exec(text)
  if (m === null) return undefined
  const n = (i: number) => Number(m[i] ?? 0)
  const [year, month, day] = [n(1), n(2), n(3)]
  if (year === 0 || (m[2] !== undefined && (month < 1 || month > 12)) || (m[3] !== undefined && (day < 1 || day > days(year, month)))) return undefined
  if (n(4) > 23 || n(5) > 59 || n(6) > 60) return undefined
  const zone = m[7] ?? ''
  const shift = zone.length === 6 ? (zone[0] === '-' ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4))) : 0
  const d = new Date(0)
  d.setUTCFullYear(year, m[2] === undefined ? 0 : month - 1, m[3] === undefined ? 1 : day)
  d.setUTCHours(n(4), n(5) - shift, n(6))
  const precision = m[4] !== undefined ? 'time' : m[3] !== undefined ? 'day' : m[2] !== undefined ? 'month' : 'year'
  return { text, precision, year, month, day, clock: precision === 'time' ? `${m[4]}:${m[5]}` : '', zone, at: d.getTime() }
}

/** dayOf is the part of a date that the timeline groups by: "2024-05-01", "2024-05", "2024". */
export const dayOf = (w: When): string => w.text.slice(0, 10)

/** whenOf reads the first of some fields that is a date, also the start of a Period. */
export function whenOf(j: Json | undefined, ...fields: readonly string[]): When | undefined {
  for (const f of fields) {
    const v = get(j, f)
    const w = parseWhen(str(v) || str(v, 'start') || str(v, 'event'))
    if (w !== undefined) return w
  }
  return undefined
}

/** sayWhen writes a date in a language, no more precise than it is. */
export function sayWhen(w: When, language: string): string {
  const d = new Date(0)
  d.setUTCFullYear(w.year, Math.max(w.month, 1) - 1, Math.max(w.day, 1))
  const parts: Intl.DateTimeFormatOptions = { timeZone: 'UTC', year: 'numeric' }
  if (w.precision !== 'year') parts.month = w.precision === 'month' ? 'long' : 'short'
  if (w.precision === 'day' || w.precision === 'time') parts.day = 'numeric'
  const date = new Intl.DateTimeFormat(language, parts).format(d)
  return w.clock === '' ? date : `${date}, ${w.clock}${w.zone === '' || w.zone === 'Z' ? (w.zone === 'Z' ? ' UTC' : '') : ` (UTC${w.zone})`}`
}
