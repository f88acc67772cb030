import { expect, test } from 'vitest'
import type { Located } from '../core'
import { targetsOf } from '../record/load'
import { readItem, type Source } from '../record/model/item.ts'
import { buildChart } from '../record/model/chart.ts'
import { targetsIn } from './targets'

const bytes = (n: number, b: number) => new Uint8Array(n).fill(b)
const leaf = (n: number) => ({ batch: bytes(32, n >> 4), leaf: bytes(32, n) })
const source = (key: string, log: number, value: string, targets: Source['targets']): Source =>
  ({ key, author: 'hospital', time: log, log, body: new TextEncoder().encode(JSON.stringify({ resourceType: 'Condition', id: 'a', code: { text: value } })), ...(targets === undefined ? {} : { targets }) })

test('with a record go its earlier versions, the oldest first, and each table of contents once', () => {
  const contents = leaf(0x1f)
  const chart = buildChart([source('3', 3, 'third', [leaf(0x21), leaf(0x2f)]), source('1', 1, 'first', [leaf(0x11), contents]), source('2', 2, 'second', [leaf(0x12), contents])])
  const item = chart.items[0] ?? readItem(source('0', 0, '', undefined))
  expect(item.title).toBe('third')
  expect(targetsIn(item).map((x) => x.leaf[0])).toEqual([0x11, 0x12, 0x21, 0x1f, 0x2f])
})

test('of the index records of a batch, those under the same slots tell of a record', () => {
  const located = (index: number, kind: number, slots: bigint, header = 1) =>
    ({ item: { header: bytes(32, header), index }, entry: { id: bytes(16, index), slots, kind, ciphertext: bytes(32, 7), meta: bytes(32, 0), size: 9 } }) as unknown as Located
  const of = located(0, 0, 3n)
  const index = [located(5, 1, 3n), located(6, 1, 4n), located(7, 1, 3n, 2)]
  const got = targetsOf(of, index)
  expect(got.length).toBe(2)
  expect(got.map((x) => x.batch[0])).toEqual([1, 1])
  expect(new Set(got.map((x) => x.leaf.join())).size).toBe(2)
  expect(targetsOf(of, []).length).toBe(1)
})
