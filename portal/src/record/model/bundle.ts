/** The download: a FHIR Bundle (collection) into which each resource is spliced with the bytes that its author sealed. */
import type { Item } from './item.ts'

const utf8 = new TextEncoder()

/** bundleOf gives the parts of the file, one after the other. What is no FHIR JSON cannot stand in it, and is counted. */
export function bundleOf(items: readonly Item[], made: Date): { parts: Uint8Array<ArrayBuffer>[]; left: number } {
  const parts: Uint8Array<ArrayBuffer>[] = [utf8.encode(`{"resourceType":"Bundle","type":"collection","timestamp":${JSON.stringify(made.toISOString())},"entry":[`)]
  let n = 0
  let left = 0
  for (const i of items) {
    const body = i.source.body
    if (i.kind === 'unreadable' || body === undefined) {
      left++
      continue
    }
    parts.push(utf8.encode(n++ === 0 ? '{"resource":' : ',{"resource":'), trimmed(body), utf8.encode('}'))
  }
  parts.push(utf8.encode(']}\n'))
  return { parts, left }
}

/** trimmed is a copy without a byte-order mark and white space around the value. */
function trimmed(b: Uint8Array): Uint8Array<ArrayBuffer> {
  let from = b[0] === 0xef && b[1] === 0xbb && b[2] === 0xbf ? 3 : 0
  let to = b.length
  const blank = (x: number | undefined) => x === 0x20 || x === 0x0a || x === 0x0d || x === 0x09
  while (from < to && blank(b[from])) from++
  while (to > from && blank(b[to - 1])) to--
  return new Uint8Array(b.slice(from, to))
}
