/** The import of a file, as the gateway tells of it: a line of JSON for each step (gateway/records.go). */
import { Problem } from '../app/api'

export interface Counts {
  readonly Records: number
  readonly Duplicates: number
  readonly Rejected: number
  readonly Patients: number
}
export interface Rejected {
  readonly index: number
  readonly type?: string
  readonly issue: { readonly code: string; readonly expression?: string; readonly text: string } | null
}
export interface Report extends Counts {
  readonly rejected: readonly Rejected[] | null
  readonly truncated?: boolean
}
interface Step {
  readonly progress?: Counts
  readonly done?: Report
  readonly error?: { readonly code: string; readonly text: string }
}

export type Format = 'ndjson' | 'bundle' | 'ccda' | 'csv' | 'mapping'

/** mostMiB is the most that the gateway takes of a file at once. */
export const mostMiB = (f: Format): number => (f === 'bundle' || f === 'ndjson' ? 1024 : f === 'ccda' ? 10 : 256)

/** formatOf is how a file is written, by its name. */
export function formatOf(name: string): Format {
  const end = /\.([a-z]+)$/.exec(name.toLowerCase())?.[1]
  switch (end) {
    case 'ndjson':
    case 'jsonl': return 'ndjson'
    case 'xml': return 'ccda'
    case 'csv': return 'csv'
    case 'toml': return 'mapping'
    default: return 'bundle'
  }
}

/** Taken is the report of a document or table (gateway/intake/report.go). */
export interface Taken {
  readonly status?: string
  readonly created: number
  readonly updated: number
  readonly unchanged: number
  readonly truncated?: boolean
  readonly unmapped?: readonly { readonly template?: string; readonly path: string; readonly reason: string }[]
  readonly rows?: { readonly rows: number; readonly rejected: number }
  readonly rejected?: readonly { readonly line: number; readonly column?: string; readonly code: string; readonly where?: string }[]
  readonly stopped?: { readonly line: number; readonly column?: string; readonly code: string }
}

/** Complaint is one line of a report of what was not taken. */
export interface Complaint {
  readonly at: string
  readonly what: string
  readonly where: string
  readonly why: string
}

/** complaints are the lines of a report of documents and tables. */
export const complaints = (t: Taken): Complaint[] => [
  ...(t.rejected ?? []).map((r) => ({ at: String(r.line), what: r.column ?? '', where: r.where ?? '', why: r.code })),
  ...(t.stopped === undefined ? [] : [{ at: String(t.stopped.line), what: t.stopped.column ?? '', where: '', why: t.stopped.code }]),
  ...(t.unmapped ?? []).map((u) => ({ at: '', what: u.template ?? '', where: u.path, why: u.reason })),
]

/** takeIn sends a document, or a table with its mapping: a file, or the name of one that the node has. @throws Problem */
export async function takeIn(file: File, format: 'ccda' | 'csv', mapping: File | string, signal: AbortSignal): Promise<Taken> {
  let body: BodyInit = file
  let query = ''
  let type: Readonly<Record<string, string>> = { 'Content-Type': format === 'ccda' ? 'application/xml' : 'text/csv' }
  if (format === 'csv' && typeof mapping === 'string') query = `?mapping=${encodeURIComponent(mapping)}`
  else if (format === 'csv' && typeof mapping !== 'string') {
    body = new FormData()
    body.append('mapping', mapping)
    body.append('file', file)
    type = {}
  }
  let r: Response
  try {
    r = await fetch(`/api/admin/intake/${format}${query}`, { method: 'POST', credentials: 'same-origin', body, headers: type, signal })
  } catch (err) {
    if (signal.aborted) throw err
    throw new Problem('offline', 'portal: no answer')
  }
  const got = (await r.json().catch(() => ({}))) as Taken & { code?: string; text?: string; line?: number; where?: string }
  if (!r.ok) throw new Problem(got.code ?? 'other', `${got.text ?? String(r.status)}${got.line === undefined ? '' : ` (line ${got.line})`}${got.where === undefined ? '' : ` (${got.where})`}`)
  return got
}

/** steps reads lines as they come, however they are cut. @throws Problem for the gateway's error, or an answer that ends without a report */
export async function steps(body: AsyncIterable<string>, progress: (c: Counts) => void): Promise<Report> {
  let rest = ''
  let report: Report | undefined
  const take = (line: string) => {
    if (line.trim() === '') return
    const s = JSON.parse(line) as Step
    if (s.error !== undefined) throw new Problem(s.error.code, s.error.text)
    if (s.progress !== undefined) progress(s.progress)
    if (s.done !== undefined) report = s.done
  }
  for await (const part of body) {
    const lines = (rest + part).split('\n')
    rest = lines.pop() ?? ''
    lines.forEach(take)
  }
  take(rest)
  if (report === undefined) throw new Problem('offline', 'portal: the answer broke off')
  return report
}

async function* texts(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  for (;;) {
    const { value, done } = await reader.read()
    if (value !== undefined) yield decoder.decode(value, { stream: !done })
    if (done) return
  }
}

/** importFile sends a file and follows its import. */
export async function importFile(file: File, signal: AbortSignal, progress: (c: Counts) => void): Promise<Report> {
  let r: Response
  try {
    r = await fetch(`/api/admin/import?format=${formatOf(file.name) === 'ndjson' ? 'ndjson' : 'bundle'}`, { method: 'POST', credentials: 'same-origin', body: file, headers: { 'Content-Type': 'application/fhir+json' }, signal })
  } catch (err) {
    if (signal.aborted) throw err
    throw new Problem('offline', 'portal: no answer')
  }
  if (!r.ok || r.body === null) {
    const p = (await r.json().catch(() => ({}))) as { code?: string; text?: string }
    throw new Problem(p.code ?? 'other', p.text ?? String(r.status))
  }
  return steps(texts(r.body), progress)
}
