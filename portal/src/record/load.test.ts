import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encode } from '../core'
import { slotMapSchema } from '../core/consent/slots.ts'
import { isMap, pieces } from './load.ts'

/** joined is what the gateway answers. */
function joined(list: readonly (Uint8Array | undefined)[]): Uint8Array {
  const out: number[] = []
  for (const b of list) {
    const n = b === undefined ? 0xffff_ffff : b.length
    out.push(n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255, ...(b ?? []))
  }
  return Uint8Array.from(out)
}

it('takes apart what was joined, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined }), { maxLength: 8 }), (list) => {
      const raw = joined(list)
      expect(pieces(raw, list.length).map((b) => (b === undefined ? undefined : [...b]))).toEqual(list.map((b) => (b === undefined ? undefined : [...b])))
      expect(() => pieces(raw, list.length + 1)).toThrow('cut off')
      if (list.length > 0) expect(() => pieces(raw.subarray(0, raw.length - 1), list.length)).toThrow('cut off')
      expect(() => pieces(Uint8Array.from([...raw, 0]), list.length)).toThrow('too long')
    }),
  )
})

it('leaves her slot map out of what was written about her, and nothing else', () => {
  const map = encode(slotMapSchema, { labels: ['steward', 'laboratory'], slots: Uint8Array.of(3, 7) })
  expect(isMap(map)).toBe(true)
  expect(isMap(undefined)).toBe(false)
  expect(isMap(map.subarray(0, map.length - 1))).toBe(false)
  expect(isMap(new TextEncoder().encode('{"resourceType":"Basic"}'))).toBe(false)
})
