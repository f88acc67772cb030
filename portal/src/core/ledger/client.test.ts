import { expect, test } from 'vitest'
import { bytesOf, vectors } from '../testing.ts'
import { hex } from '../wire/bytes.ts'
import { codeOf } from '../wire/refusal.ts'
import { encode } from '../wire/schema.ts'
import { decodeBlock, encodeBlock } from './block.ts'
import { ForkError, LightClient } from './client.ts'
import { VerifiedFacts } from './facts.ts'
import { decodeReceipt, type Receipt } from './receipt.ts'
import { paramsSchema, rowKeys } from './rows.ts'

const file = vectors<{ genesis: unknown; cases: { name: string; receipt: string; code: number }[] }>('receipt/receipts.json')
const genesis = JSON.stringify(file.genesis)

function receipt(name: string): Receipt {
  const c = file.cases.find((x) => x.name === name)
  if (c === undefined) throw new Error('no such case')
  return decodeReceipt(bytesOf(c.receipt))
}

const code = (f: () => unknown): number | undefined => {
  try {
    f()
    return 0
  } catch (err) {
    return codeOf(err)
  }
}

test('receipts give the same verdicts, whatever was checked before', () => {
  const cases = file.cases.filter((x) => x.code !== 0x2501)
  for (const x of cases) expect([x.name, code(() => new LightClient(genesis).check(decodeReceipt(bytesOf(x.receipt))))]).toEqual([x.name, x.code])
  const c = new LightClient(genesis)
  for (let round = 0; round < 2; round++) {
    for (const x of cases) {
      // Of a block that was verified already, votes and trail are not needed any more.
      const want = x.name === 'without the trail' || x.name === 'signed by two of four' ? 0 : x.code
      expect([x.name, code(() => c.check(decodeReceipt(bytesOf(x.receipt))))]).toEqual([x.name, want])
    }
  }
  expect(c.check(receipt('signed by two of four'))).toMatchObject({ signed: 4, of: 4 })
})

test('blocks between are asked for where the validators change', async () => {
  const r = receipt('validators that changed, with a trail')
  const blocks = new Map([...r.trail, r.block].map((raw) => [decodeBlock(raw).header.height, raw]))
  const last = Math.max(...[...blocks.keys()].map(Number))
  const asked: bigint[] = []
  const c = new LightClient(genesis)
  const fetch = async (h: bigint) => {
    asked.push(h)
    const raw = blocks.get(h) ?? [...blocks].find(([k]) => k >= h)?.[1]
    if (raw === undefined) throw new Error('no such block')
    return raw
  }
  // A node that answers with another block than the one asked for is not believed.
  const found = await c.advance(BigInt(last), fetch).catch((err: unknown) => codeOf(err))
  expect(asked[0]).toBe(BigInt(last))
  expect(found === 0x2503 || typeof found === 'object').toBe(true)
  for (const raw of r.trail) if (decodeBlock(raw).header.height > c.height) c.follow(raw)
  expect(c.follow(r.block).height).toBe(BigInt(last))
  expect(c.height).toBe(BigInt(last))
})

test('what was saved is gone on with, of this network alone', () => {
  const c = new LightClient(genesis)
  c.check(receipt('entry of the log'))
  const again = LightClient.restore(genesis, c.save())
  expect([again.height, again.chain]).toEqual([c.height, c.chain])
  expect(hex(again.save())).toBe(hex(c.save()))
  const other = JSON.stringify({ ...(file.genesis as object), chain_id: 'salus-other' })
  expect(code(() => LightClient.restore(other, c.save()))).toBe(0x2502)
  expect(code(() => LightClient.restore(genesis, c.save().slice(1)))).toBe(1)
})

test('a header that is not of the signed block is refused', () => {
  const r = receipt('entry of the log')
  const b = decodeBlock(r.block)
  const bad = { ...b, header: { ...b.header, appHash: new Uint8Array(32) } }
  expect(code(() => new LightClient(genesis).check({ ...r, block: encodeBlock(bad) }))).toBe(0x2503)
})

test('genesis files that say too little or too much are refused', () => {
  const doc = file.genesis as { validators: { pub_key: unknown; power: string }[] }
  for (const bad of ['', '[]', '{}', '{"chain_id":"c"}', JSON.stringify({ ...doc, validators: [] }), JSON.stringify({ ...doc, validators: [...doc.validators, doc.validators[0]] }), JSON.stringify({ ...doc, validators: [{ ...doc.validators[0], power: '0' }] }), JSON.stringify({ ...doc, validators: [{ power: '1' }] })]) {
    expect(code(() => new LightClient(bad))).toBe(0x2502)
  }
})

test('a fork has a name', () => {
  expect(new ForkError(7n).height).toBe(7n)
})

test('facts come from proven rows, and a row that is absent is none', async () => {
  const zero = encode(paramsSchema, { ...paramsSchema.zero(), origins: ['https://portal.example'] })
  const rows = new Map([[hex(rowKeys.params()), zero]])
  const f = new VerifiedFacts({ chain: 'c', row: async (k) => rows.get(hex(k)), entry: async () => new Uint8Array(0) })
  expect((await f.params())?.origins).toEqual(['https://portal.example'])
  expect(await f.member(new Uint8Array(16))).toBeUndefined()
  expect(await f.anchored(new Uint8Array(32))).toBeUndefined()
  await expect(f.committee()).rejects.toThrow('custody epoch')
})
