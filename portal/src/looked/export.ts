/** The log as files: JSON and CSV. What they say is what was verified. */
import { hex } from '../core'
import type { Line } from './sentence'

/** Proven says under which block the lines were verified. */
export interface Proven {
  readonly chain: string
  readonly height: bigint
  readonly block: string
  readonly account: string
}

const iso = (seconds: bigint): string => new Date(Number(seconds) * 1000).toISOString()

const columns = ['number', 'time', 'block', 'what', 'who', 'organisation', 'why', 'records', 'nothingAllowed', 'emergency', 'actor', 'member', 'session', 'consent', 'transaction'] as const

const cells = (l: Line): readonly (string | number | boolean)[] => [
  Number(l.seq), iso(l.time), Number(l.height), l.sentence, l.who, l.from, l.why, l.count,
  l.kinds.includes('refused'), l.kinds.includes('emergency'), l.actor, l.member, l.session === undefined ? '' : hex(l.session), l.consent, l.tx,
]

/** jsonOf is the log with what it was verified against. */
export function jsonOf(lines: readonly Line[], p: Proven): string {
  const entries = lines.map((l) => Object.fromEntries(columns.map((c, i) => [c, cells(l)[i]])))
  return `${JSON.stringify({ log: p.account, network: p.chain, completeUpToBlock: Number(p.height), blockHash: p.block, entries }, undefined, 2)}\n`
}

/**
 * cell writes one field (RFC 4180). What a spreadsheet would take for a
 * formula gets an apostrophe before it, also after blanks and in full-width
 * forms (OWASP, CSV Injection).
 */
export function cell(v: string | number | boolean): string {
  if (typeof v !== 'string') return String(v)
  const safe = /^[\s\p{C}]*[=+\-@＝＋－＠|%]|^[\t\r\n]/u.test(v) ? `'${v}` : v
  return `"${safe.replaceAll('"', '""')}"`
}

/** csvOf is a table with a line of names, in UTF-8 with a byte order mark so that spreadsheets read it as such. */
export const csvOf = (lines: readonly Line[]): string => `\ufeff${[columns, ...lines.map(cells)].map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`

/** save hands the browser a file. */
export function save(name: string, type: string, content: string | Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([content], { type }))
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
  window.setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
