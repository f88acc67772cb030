import { describe, expect, test } from 'vitest'
import { anchoredSchema, committeeSchema } from '../custody/message.ts'
import { bytesOf, vectors } from '../testing.ts'
import { hex } from '../wire/bytes.ts'
import { codeOf } from '../wire/refusal.ts'
import { decodeAny, encode } from '../wire/schema.ts'
import { LightClient } from './client.ts'
import { VerifiedFacts } from './facts.ts'
import { claimsRequestSchema, claimsSchema, FactError, ProvenFacts } from './proven.ts'
import { decodeReceipt, readBlock } from './receipt.ts'
import { rowKeys } from './rows.ts'

interface Vector {
  genesis: unknown
  committee: string
  anchored: Record<string, string>
  absent: string[]
  cases: { name: string; request: string; answer: string; now: number; fault: string }[]
}

const v = vectors<Vector>('receipt/facts.json')
const genesis = JSON.stringify(v.genesis)
const good = v.cases[0] ?? { name: '', request: '', answer: '', now: 0, fault: '' }

/** asking gives facts whose node answers each request with the same bytes. */
function asking(answer: string, now: number, least = 0n) {
  const asked: Uint8Array[] = []
  const time = { now }
  const proven = new ProvenFacts({
    client: new LightClient(genesis),
    ask: async (r) => (asked.push(r), bytesOf(answer)),
    now: () => time.now,
    least,
  })
  return { proven, facts: new VerifiedFacts(proven), asked, time }
}

const fault = (p: Promise<unknown>): Promise<unknown> => p.then(
  () => '',
  (err: unknown) => (err instanceof FactError ? err.fault : err),
)

describe('facts', () => {
  test('are those of the ledger, in one request', async () => {
    const { facts, asked } = asking(good.answer, good.now)
    await facts.expect([...Object.keys(v.anchored), ...v.absent].map(bytesOf))
    for (const [header, a] of Object.entries(v.anchored)) {
      const got = await facts.anchored(bytesOf(header))
      expect(got === undefined ? '' : hex(encode(anchoredSchema, got))).toBe(a)
    }
    for (const header of v.absent) expect(await facts.anchored(bytesOf(header))).toBeUndefined()
    expect(asked.length).toBe(1)
    expect(hex(encode(committeeSchema, await facts.committee()))).toBe(v.committee)
    expect(asked.length).toBe(1) // the answer held what follows
  })

  test.each(v.cases.map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const q = decodeAny(claimsRequestSchema, bytesOf(c.request), 1 << 20)
    const { proven, asked } = asking(c.answer, c.now, q.least)
    expect(await fault(proven.expect(q.rows))).toBe(c.fault)
    expect(asked.map(hex)).toEqual([c.request])
    // What is not believed leaves nothing behind: each row is asked for again.
    if (c.fault !== '') {
      expect(await fault(proven.row(q.rows[0] ?? new Uint8Array(0)))).not.toBe('')
      expect(asked.length).toBe(2)
    }
  })

  test('each vector of a lie has a fault, and each fault a vector', () => {
    expect(new Set(v.cases.map((c) => c.fault))).toEqual(new Set(['', 'answer', 'block', 'stale', 'committee', 'batch', 'absent']))
  })

  test('a block that is not signed says so by its code', async () => {
    const c = v.cases.find((x) => x.name === 'signed by two of four')
    const err: unknown = await asking(c?.answer ?? '', c?.now ?? 0).facts.committee().catch((e: unknown) => e)
    expect(err instanceof FactError ? codeOf(err.cause) : undefined).toBe(0x2503)
  })

  test('every altered byte is found', async () => {
    const raw = bytesOf(good.answer)
    const rows = decodeAny(claimsRequestSchema, bytesOf(good.request), 1 << 20).rows
    for (let i = 0; i < raw.length; i += 37) {
      const bad = raw.slice()
      bad[i] = (bad[i] ?? 0) ^ (1 << i % 8)
      const proven = new ProvenFacts({ client: new LightClient(genesis), ask: async () => bad, now: () => good.now })
      const found = await fault(proven.expect(rows))
      expect([i, typeof found === 'string' && found !== '']).toEqual([i, true])
    }
  })

  test('rows that are asked for at one time come together, and are not asked for again while fresh', async () => {
    const { proven, asked, time } = asking(good.answer, good.now)
    const keys = [rowKeys.currentEpoch(), rowKeys.epoch(1n), ...v.absent.map((h) => rowKeys.batch(bytesOf(h)))]
    await Promise.all(keys.map((k) => proven.row(k)))
    await Promise.all(keys.map((k) => proven.row(k)))
    expect(asked.length).toBe(1)
    time.now += 16
    await proven.row(rowKeys.currentEpoch())
    expect(asked.length).toBe(2)
  })

  test('what the node does not answer is its error, and not kept', async () => {
    let down = true
    const proven = new ProvenFacts({
      client: new LightClient(genesis),
      now: () => good.now,
      ask: async () => {
        if (down) throw new Error('offline')
        return bytesOf(good.answer)
      },
    })
    await expect(proven.row(rowKeys.currentEpoch())).rejects.toThrow('offline')
    down = false
    expect(await proven.row(rowKeys.currentEpoch())).toBeDefined()
    await expect(proven.entry(1n << 40n)).rejects.toThrow(expect.objectContaining({ fault: 'answer' }))
  })

  test('a verified block is told of once', async () => {
    const seen: bigint[] = []
    const proven = new ProvenFacts({ client: new LightClient(genesis), now: () => good.now, ask: async () => bytesOf(good.answer), seen: (c) => seen.push(c.height), fresh: 0 })
    await proven.row(rowKeys.currentEpoch())
    await proven.row(rowKeys.currentEpoch())
    expect(seen.length).toBe(1)
  })

  test('where the trail does not lead to the block, the blocks between are asked for, and believed no more', async () => {
    const file = vectors<{ genesis: unknown; cases: { name: string; receipt: string }[] }>('receipt/receipts.json')
    const r = decodeReceipt(bytesOf(file.cases.find((c) => c.name === 'validators that changed, with a trail')?.receipt ?? ''))
    if (r.entry === undefined) throw new Error('no entry')
    const { entry } = r
    const answer = encode(claimsSchema, { version: 1, chain: r.chain, block: r.block, trail: [], rows: [], entries: [entry] })
    const { height, time } = readBlock(r.block).header
    const asked: bigint[] = []
    const with_ = (header?: (h: bigint) => Promise<Uint8Array>) =>
      new ProvenFacts({ client: new LightClient(JSON.stringify(file.genesis)), now: () => Number(time.seconds), ask: async () => answer, ...(header === undefined ? {} : { header }) })
    expect(await fault(with_().entry(entry.index))).toBe('block')
    const missing = with_(async (h) => {
      asked.push(h)
      throw new Error('not kept')
    })
    expect(await fault(missing.entry(entry.index))).toBe('block')
    expect(asked).toEqual([height / 2n]) // LightClient.advance bisects
    expect(await fault(with_(async () => r.block).entry(entry.index))).toBe('block') // another height's
  })
})
