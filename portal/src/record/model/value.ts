/** Reading FHIR values out of JSON that may be anything: what has another shape than it should is not there. */
import { Decimal, type Json, type Obj } from './json.ts'

export const isObj = (j: Json | undefined): j is Obj => j instanceof Map

/** get walks down names; through a list it takes the first. */
export function get(j: Json | undefined, ...path: readonly string[]): Json | undefined {
  let at = j
  for (const name of path) {
    const one: Json | undefined = Array.isArray(at) ? (at as readonly Json[])[0] : at
    if (!isObj(one)) return undefined
    at = one.get(name)
  }
  return at
}

/** all gives a list's members, the one value that is no list, or nothing. */
export function all(j: Json | undefined, ...path: readonly string[]): readonly Json[] {
  const v = get(j, ...path)
  if (v === undefined || v === null) return []
  return Array.isArray(v) ? (v as readonly Json[]) : [v]
}

const longest = 20_000
// Controls, and the marks that turn the direction of what stands around them: text must not repaint its neighbours.
const unseen = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]/g

/** clean makes text fit to be shown: bounded, without controls. */
export const clean = (s: string): string => (s.length > longest ? `${s.slice(0, longest)}…` : s).replace(unseen, '').trim()

/** str gives a text, or a number as it was written; empty for anything else. */
export function str(j: Json | undefined, ...path: readonly string[]): string {
  const v = get(j, ...path)
  if (typeof v === 'string') return clean(v)
  return v instanceof Decimal ? v.text : ''
}

/** concept says a CodeableConcept: its text, else a display, else a code. */
export function concept(j: Json | undefined, ...path: readonly string[]): string {
  const c = get(j, ...path)
  const one = Array.isArray(c) ? (c as readonly Json[])[0] : c
  if (typeof one === 'string') return clean(one)
  const codings = all(one, 'coding')
  return str(one, 'text') || (codings.map((x) => str(x, 'display')).find((s) => s !== '') ?? '') || (codings.map((x) => str(x, 'code')).find((s) => s !== '') ?? '')
}

/** codeKey names a concept for grouping: system and code of its first full coding, else its folded text. */
export function codeKey(j: Json | undefined): string {
  for (const c of all(j, 'coding')) if (str(c, 'code') !== '') return `${str(c, 'system')}|${str(c, 'code')}`
  const text = fold(concept(j))
  return text === '' ? '' : `text|${text}`
}

/** hasCode reports whether one of a concept's codes is code. */
export const codes = (j: Json | undefined): string[] => (typeof j === 'string' ? [j] : all(j, 'coding').map((c) => str(c, 'code')))

/** quantity says a Quantity as it was sent. */
export function quantity(j: Json | undefined): string {
  const value = str(j, 'value')
  if (value === '') return ''
  return [str(j, 'comparator') + value, str(j, 'unit') || str(j, 'code')].filter((s) => s !== '').join(' ')
}

/** reference gives "Type/id" or what else a reference says. */
export const reference = (j: Json | undefined): string => str(j, 'reference')

/** display says whom or what a reference means, in words, if it has some. */
export const display = (j: Json | undefined): string => str(j, 'display')

/** fold takes case and diacritics away, for search. */
export const fold = (s: string): string => s.normalize('NFKD').replace(/\p{M}/gu, '').toLocaleLowerCase('en').replace(/ß/g, 'ss')
