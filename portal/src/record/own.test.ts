import fc from 'fast-check'
import { expect, it } from 'vitest'
import { written } from './own.ts'

interface One { readonly id: string; readonly time: number; readonly index: number; readonly body: Uint8Array }

/** joined is what the gateway answers. */
function joined(list: readonly One[]): Uint8Array {
  const out: number[] = []
  const put = (b: Uint8Array) => out.push(b.length >>> 24, (b.length >>> 16) & 255, (b.length >>> 8) & 255, b.length & 255, ...b)
  for (const { body, ...head } of list) {
    put(new TextEncoder().encode(JSON.stringify({ ...head, type: 'Observation', bytes: body.length })))
    put(body)
  }
  return Uint8Array.from(out)
}

it('takes apart what the organisation wrote, and never a part of it for all', () => {
  const one = fc.record({ id: fc.string({ maxLength: 8 }), time: fc.nat(), index: fc.nat(), body: fc.uint8Array({ maxLength: 30 }).map((b) => Uint8Array.from([0x7b, ...b])) })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 5 }), fc.nat(), (list, cut) => {
      const raw = joined(list)
      expect(written(raw, 'a').map((s) => ({ id: s.key, author: s.author, body: [...(s.body ?? [])] }))).toEqual(list.map((o) => ({ id: o.id, author: 'a', body: [...o.body] })))
      if (list.length > 0) {
        const n = cut % raw.length
        const whole = list.findIndex((_, i) => joined(list.slice(0, i)).length === n)
        if (whole < 0) expect(() => written(raw.subarray(0, n), 'a')).toThrow('cut off')
      }
    }),
  )
})

it('puts what waits for the ledger after everything that it has', () => {
  const body = new TextEncoder().encode('{}')
  const [waits, stands] = written(joined([{ id: 'w', time: 0, index: 0, body }, { id: 's', time: 9, index: 7, body }]), 'a')
  expect(stands?.log).toBe(7)
  expect(waits?.log).toBeGreaterThan(7)
  expect(waits?.time).toBe(0)
})
