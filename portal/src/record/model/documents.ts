/** Documents and pictures: what is attached, if it is of a kind that a browser shows without running anything. */
import type { Chart } from './chart.ts'
import type { Item } from './item.ts'
import type { Json, Obj } from './json.ts'
import { all, get, isObj, str } from './value.ts'

export type Media = 'text' | 'pdf' | 'image'

/** kept: only a link is in the record; refused: of a kind that is not opened here; broken: not what it says it is. */
export type Attachment =
  | { readonly state: 'here'; readonly media: Media; readonly type: string; readonly title: string; readonly bytes: () => Uint8Array<ArrayBuffer>; readonly size: number }
  | { readonly state: 'kept' | 'refused' | 'broken'; readonly type: string; readonly title: string; readonly where: string }

export interface Document {
  readonly item: Item
  readonly attachments: readonly Attachment[]
}

/** What is opened, by its media type and the bytes with which it must begin. No SVG and no HTML: both can hold programs. */
const allowed: ReadonlyMap<string, { media: Media; magic: readonly (readonly number[])[] }> = new Map([
  ['text/plain', { media: 'text' as const, magic: [] }],
  ['application/pdf', { media: 'pdf' as const, magic: [[0x25, 0x50, 0x44, 0x46, 0x2d]] }],
  ['image/png', { media: 'image' as const, magic: [[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]] }],
  ['image/jpeg', { media: 'image' as const, magic: [[0xff, 0xd8, 0xff]] }],
  ['image/gif', { media: 'image' as const, magic: [[0x47, 0x49, 0x46, 0x38]] }],
  ['image/webp', { media: 'image' as const, magic: [[0x52, 0x49, 0x46, 0x46]] }],
])

const bytesOf = (data: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(data), (c) => c.charCodeAt(0))

function headOf(data: string): Uint8Array | undefined {
  if (data.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(data)) return undefined
  try {
    return bytesOf(data.slice(0, 16))
  } catch {
    return undefined
  }
}

/** attach reads an Attachment or a Binary. */
export function attach(a: Json | undefined, find: (reference: string) => Json | undefined): Attachment {
  const type = (str(a, 'contentType').split(';')[0] ?? '').trim().toLowerCase()
  const title = str(a, 'title')
  const where = str(a, 'url')
  const raw = get(a, 'data')
  if (typeof raw !== 'string' || raw === '') {
    const binary = where === '' ? undefined : find(where)
    if (isObj(binary) && str(binary, 'resourceType') === 'Binary') {
      const inner = attach(binaryAttachment(binary), () => undefined)
      return { ...inner, title: inner.title || title }
    }
    return { state: 'kept', type, title, where }
  }
  const rule = allowed.get(type)
  if (rule === undefined) return { state: 'refused', type, title, where }
  const data = raw.replace(/\s+/g, '')
  const head = headOf(data)
  if (head === undefined || (rule.magic.length > 0 && !rule.magic.some((m) => m.every((b, i) => head[i] === b)))) return { state: 'broken', type, title, where }
  return { state: 'here', media: rule.media, type, title, size: Math.floor((data.length * 3) / 4), bytes: () => bytesOf(data) }
}

const binaryAttachment = (b: Obj): Obj => new Map<string, Json>([['contentType', b.get('contentType') ?? ''], ['data', b.get('data') ?? '']])

/** documentsOf lists what carries documents or pictures. A Binary that another one points to stands there. */
export function documentsOf(chart: Chart): Document[] {
  const pointed = new Set<Item>()
  const out: Document[] = []
  for (const item of chart.items) {
    const find = (reference: string) => {
      const b = chart.find(reference, item.source.author)
      if (b?.type === 'Binary') pointed.add(b)
      return b?.json
    }
    const list = attachmentsOf(item).map((a) => attach(a, find))
    if (list.length > 0) out.push({ item, attachments: list })
  }
  return out.filter((d) => !pointed.has(d.item))
}

function attachmentsOf(item: Item): readonly Json[] {
  const j = item.json
  switch (item.type) {
    case 'DocumentReference': return all(j, 'content').flatMap((c) => all(c, 'attachment'))
    case 'DiagnosticReport': return all(j, 'presentedForm')
    case 'Media': return all(j, 'content')
    case 'Patient': return all(j, 'photo')
    case 'Binary': return j === undefined ? [] : [binaryAttachment(j)]
    case 'Communication': return all(j, 'payload').flatMap((p) => all(p, 'contentAttachment'))
    default: return []
  }
}
