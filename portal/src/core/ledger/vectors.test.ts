import { expect, test } from 'vitest'
import { bytesOf, vectors } from '../testing.ts'
import { equal, hex } from '../wire/bytes.ts'
import { codeOf } from '../wire/refusal.ts'
import { decodeAny, encode, type Schema } from '../wire/schema.ts'
import { decodeBlock, encodeBlock } from './block.ts'
import { leafHash, merkleRoot, pathOf } from './merkle.ts'
import { appHash, entryProofSchema, extensionProofSchema, keyProofSchema, verifyEntry, verifyExtension, verifyKey } from './proof.ts'
import { decodeReceipt, type Finding, type Receipt, receiptSchema, verifyFile, verifyReceipt } from './receipt.ts'

interface ReceiptFile {
  genesis: unknown
  cases: { name: string; receipt: string; code: number; height?: number; entries?: number }[]
}

const receipts = vectors<ReceiptFile>('receipt/receipts.json')
const genesis = JSON.stringify(receipts.genesis)

function verdict(raw: Uint8Array): { code: number | undefined; finding?: Finding } {
  try {
    return { code: 0, finding: verifyFile(genesis, raw) }
  } catch (err) {
    return { code: codeOf(err) }
  }
}

test.each(receipts.cases.map((c) => [c.name, c] as const))('receipt: %s', (_, c) => {
  const raw = bytesOf(c.receipt)
  const got = verdict(raw)
  expect(got.code).toBe(c.code)
  if (got.finding !== undefined) {
    expect(got.finding.height).toBe(BigInt(c.height ?? 0))
    expect(got.finding.audit?.links.length ?? 0).toBe(c.entries ?? 0)
    const r = decodeReceipt(raw)
    expect(equal(encode(receiptSchema, r), raw)).toBe(true)
    for (const b of [...r.trail, r.block]) expect(hex(encodeBlock(decodeBlock(b)))).toBe(hex(b))
  }
})

test('every altered byte of a receipt makes it fail', () => {
  for (const c of receipts.cases.filter((c) => c.code === 0)) {
    const raw = bytesOf(c.receipt)
    // A step that shares no divisor with the sizes in a receipt; package receipt alters each byte.
    for (let i = 0; i < raw.length; i += 29) {
      const bad = raw.slice()
      bad[i] = (bad[i] ?? 0) ^ (1 << i % 8)
      const code = verdict(bad).code ?? 0
      expect([c.name, i, code >= 0x2501 && code <= 0x2505]).toEqual([c.name, i, true])
    }
  }
})

test('a planted gap, change or order of the entries is found', () => {
  const c = receipts.cases.find((x) => x.name === 'access log')
  const plant = (change: (a: NonNullable<Receipt['audit']>) => void) => {
    const r = decodeReceipt(bytesOf(c?.receipt ?? ''))
    if (r.audit === undefined) throw new Error('no access log')
    change(r.audit)
    try {
      verifyReceipt(genesis, r)
      return 0
    } catch (err) {
      return codeOf(err)
    }
  }
  expect(plant(() => undefined)).toBe(0)
  expect(plant((a) => a.entries.splice(2, 1))).toBe(0x2505)
  expect(plant((a) => a.entries.pop())).toBe(0x2505)
  expect(plant((a) => a.entries.reverse())).toBe(0x2505)
  expect(plant((a) => a.entries.push(a.entries[0] ?? new Uint8Array(0)))).toBe(0x2505)
  expect(plant((a) => (a.entries = []))).toBe(0x2505)
  expect(plant((a) => (a.position.seq -= 1n))).toBe(0x2504)
  expect(plant((a) => (a.position.index += 1n))).toBe(0x2504)
})

test('roots of states are those of the vectors', () => {
  const states = vectors<{ name: string; entries: string[]; treeRoot: string; logRoot: string; appHash: string }[]>('state/states.json')
  for (const s of states) {
    const root = merkleRoot(s.entries.map(bytesOf))
    expect(hex(root)).toBe(s.logRoot)
    expect(hex(appHash(bytesOf(s.treeRoot), root, BigInt(s.entries.length)))).toBe(s.appHash)
    // The other direction: a proof made here verifies.
    const leaves = s.entries.map((e) => leafHash(bytesOf(e)))
    leaves.forEach((_, i) => {
      const p = { path: pathOf(leaves, i), treeRoot: bytesOf(s.treeRoot), logSize: BigInt(leaves.length) }
      expect(verifyEntry(p, bytesOf(s.appHash), BigInt(i), bytesOf(s.entries[i] ?? ''))).toBe(true)
    })
  }
})

interface ProofVector {
  name: string
  appHash: string
  key?: string
  value?: string
  index?: number
  entry?: string
  old?: { appHash: string; treeRoot: string; logRoot: string; logSize: number }
  proof: string
  valid: boolean
}

function holds(c: ProofVector): boolean {
  const app = bytesOf(c.appHash)
  const read = <T>(s: Schema<T>): T => {
    const p = decodeAny(s, bytesOf(c.proof), 1 << 20)
    expect(hex(encode(s, p))).toBe(c.proof)
    return p
  }
  try {
    if (c.key !== undefined) return verifyKey(read(keyProofSchema), app, bytesOf(c.key), c.value === undefined ? undefined : bytesOf(c.value))
    if (c.index !== undefined) return verifyEntry(read(entryProofSchema), app, BigInt(c.index), bytesOf(c.entry ?? ''))
    const o = c.old
    if (o === undefined) return false
    return verifyExtension(read(extensionProofSchema), bytesOf(o.appHash), { tree: bytesOf(o.treeRoot), log: bytesOf(o.logRoot), size: BigInt(o.logSize) }, app)
  } catch (err) {
    expect(codeOf(err)).toBeDefined()
    return false
  }
}

test.each(vectors<ProofVector[]>('state/proofs.json').map((c) => [c.name, c] as const))('proof: %s', (_, c) => {
  expect(holds(c)).toBe(c.valid)
})
