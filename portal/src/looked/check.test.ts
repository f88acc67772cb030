import { expect, test } from 'vitest'
import { accountText, codeOf, decodeReceipt, encode, type Receipt, receiptSchema } from '../core'
import { decodeBlock, encodeBlock } from '../core/ledger/block'
import { bytesOf, vectors } from '../core/testing'
import { utf8 } from '../core/wire/bytes'
import { de } from '../app/text/de'
import { en } from '../app/text/en'
import { checkLog, type Fault } from './check'
import { type Keeper, lightName, memory } from './keep'

const file = vectors<{ genesis: object; cases: { name: string; receipt: string }[] }>('receipt/receipts.json')
const genesis = utf8(JSON.stringify(file.genesis))
const named = (name: string) => bytesOf(file.cases.find((c) => c.name === name)?.receipt ?? '')
const good = decodeReceipt(named('access log'))
const audit = good.audit ?? (() => { throw new Error('no log') })()

const absent = () => Promise.reject(new Error('no header'))
const look = (r: Receipt | Uint8Array, keep: Keeper = memory(), header: (h: bigint) => Promise<Uint8Array> = absent, g = genesis) =>
  checkLog({ genesis: g, receipt: r instanceof Uint8Array ? r : encode(receiptSchema, r), account: audit.patient, accountText: accountText(audit.patient), header }, keep)

const withEntries = (entries: Uint8Array[]): Receipt => ({ ...good, audit: { ...audit, entries } })
const flip = (b: Uint8Array, at: number) => b.map((v, i) => (i === at ? v ^ 1 : v))
const entry = (i: number) => audit.entries[i] ?? new Uint8Array(0)

test('a whole log is green, up to its block', async () => {
  const v = await look(good)
  expect(v.ok && [v.links.length, v.finding.signed >= 3]).toEqual([audit.entries.length, true])
  expect(audit.entries.length).toBeGreaterThan(2)
})

test('headers are followed from the genesis, and the pin is kept', async () => {
  const keep = memory()
  const asked: bigint[] = []
  const v = await look(good, keep, (h) => {
    asked.push(h)
    return Promise.resolve(good.block)
  })
  expect(v.ok).toBe(true)
  expect(asked).toEqual([decodeBlock(good.block).header.height])
  expect(await keep.get(lightName)).toBeDefined()
  expect((await look(good, keep)).ok).toBe(true)
})

/** Every planted fault with its own name. */
const block = decodeBlock(good.block)
const sig = block.commit.signatures[0]
const planted: [string, Fault, () => Receipt | Uint8Array][] = [
  ['the first entry is missing', 'gap', () => withEntries(audit.entries.slice(1))],
  ['an entry in the middle is missing', 'gap', () => withEntries(audit.entries.filter((_, i) => i !== 1))],
  ['the last entry is missing', 'head', () => withEntries(audit.entries.slice(0, -1))],
  ['two entries changed places', 'gap', () => withEntries([entry(1), entry(0), ...audit.entries.slice(2)])],
  ['an entry is there twice', 'gap', () => withEntries([entry(0), entry(0), ...audit.entries.slice(1)])],
  ['bytes that are no entry', 'entry', () => withEntries([utf8('nothing'), ...audit.entries.slice(1)])],
  ['the state root is another', 'state', () => ({ ...good, audit: { ...audit, proof: { ...audit.proof, logRoot: flip(audit.proof.logRoot, 0) } } })],
  ['the position is another', 'state', () => ({ ...good, audit: { ...audit, position: { ...audit.position, seq: audit.position.seq + 1n } } })],
  ['the app hash of the header is another', 'commit', () => ({ ...good, block: encodeBlock({ ...block, header: { ...block.header, appHash: flip(block.header.appHash, 3) } }) })],
  ['a vote is forged', 'commit', () => ({ ...good, block: encodeBlock({ ...block, commit: { ...block.commit, signatures: block.commit.signatures.map((s) => (s === sig ? { ...s, signature: flip(s.signature, 7) } : s)) } }) })],
  ['the file is cut short', 'format', () => named('access log').slice(0, -3)],
  ['it is no log', 'format', () => named('row')],
  ['it is another pseudonym’s', 'patient', () => named('access log of a pseudonym without one')],
]

test.each(planted)('red: %s', async (_, fault, make) => {
  const v = await look(make())
  expect(v.ok ? 'green' : v.fault).toBe(fault)
})

test('red: an entry was altered, whichever byte it is', async () => {
  for (let i = 0; i < audit.entries.length; i++) {
    for (let at = 0; at < entry(i).length; at += 7) {
      const v = await look(withEntries(audit.entries.map((e, j) => (j === i ? flip(e, at) : e))))
      expect(v.ok).toBe(false)
      if (!v.ok) expect(['entry', 'patient', 'gap', 'link', 'order', 'head']).toContain(v.fault)
    }
  }
})

test('red: an entry of another pseudonym', async () => {
  const other = entry(0).slice()
  const at = Buffer.from(other).indexOf(Buffer.from(audit.patient))
  expect(at).toBeGreaterThan(0)
  const v = await look(withEntries([flip(other, at), ...audit.entries.slice(1)]))
  expect(v).toMatchObject({ ok: false, fault: 'patient', seq: 1n, code: '0x2505' })
})

test('red: another network than the one seen first', async () => {
  const keep = memory()
  expect((await look(good, keep)).ok).toBe(true)
  const other = utf8(JSON.stringify({ ...file.genesis, chain_id: 'salus-other' }))
  expect(await look(good, keep, absent, other)).toMatchObject({ ok: false, fault: 'pin' })
  expect(await look(good, memory(), absent, other)).toMatchObject({ ok: false, fault: 'genesis' })
})

test('red: a log that is shorter or other than the one seen before', async () => {
  const keep = memory()
  expect((await look(good, keep)).ok).toBe(true)
  const name = `log/`
  // Whatever the log's name: more entries were seen, then another head.
  const spy = (seq: bigint, head: Uint8Array): Keeper => ({ ...keep, get: <T>(n: string) => (n.startsWith(name) ? Promise.resolve({ seq, head } as T) : keep.get<T>(n)) })
  expect(await look(good, spy(99n, new Uint8Array(32)))).toMatchObject({ ok: false, fault: 'shorter' })
  expect(await look(good, spy(1n, new Uint8Array(32)))).toMatchObject({ ok: false, fault: 'rewritten' })
})

test('red: a portal that shows two signed blocks, or headers of its own, is found out', async () => {
  const forged = encodeBlock({ ...block, header: { ...block.header, appHash: new Uint8Array(32) } })
  expect(await look(good, memory(), () => Promise.resolve(forged))).toMatchObject({ ok: false, fault: 'commit' })
  expect(codeOf(new Error('x'))).toBeUndefined()
})

test('every fault has its own sentence, in every language', () => {
  const faults: Fault[] = ['entry', 'patient', 'gap', 'link', 'order', 'head', 'format', 'genesis', 'pin', 'commit', 'state', 'fork', 'shorter', 'rewritten', 'internal']
  for (const c of [en, de] as Record<string, string>[]) {
    const sentences = faults.map((f) => c[`looked.fault.${f}`])
    expect(sentences.every((s) => s !== undefined && s.length > 20)).toBe(true)
    expect(new Set(sentences).size).toBe(faults.length)
  }
})
