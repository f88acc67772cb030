import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeBlock, encodeBlock } from './ledger/block.ts'
import { decodeProof } from './ledger/ics23.ts'
import { keyProofSchema } from './ledger/proof.ts'
import { ProtoError } from './ledger/proto.ts'
import { decodeReceipt } from './ledger/receipt.ts'
import { dictionaryName, openDictionary } from './seal/compress.ts'
import { bytesOf, file, vectors } from './testing.ts'
import { equal } from './wire/bytes.ts'
import { parse } from './wire/cbor.ts'
import { Refusal } from './wire/refusal.ts'
import { decodeAny } from './wire/schema.ts'
import { decompressFrame, ZstdError } from './zstd/zstd.ts'

/** Bytes with some of them changed, left out or put in. */
const altered = (b: Uint8Array) =>
  fc.array(fc.tuple(fc.nat({ max: b.length }), fc.nat({ max: 255 }), fc.constantFrom('set', 'cut', 'add')), { minLength: 1, maxLength: 4 }).map((edits) => {
    const out = [...b]
    for (const [at, v, how] of edits) out.splice(at, how === 'add' ? 0 : 1, ...(how === 'cut' ? [] : [v]))
    return Uint8Array.from(out)
  })

/** Runs f, which may fail with these errors and no others. */
function only(errors: readonly (abstract new (...args: never[]) => Error)[], f: () => void): void {
  try {
    f()
  } catch (err) {
    if (!errors.some((e) => err instanceof e)) throw err
  }
}

const receipts = vectors<{ cases: { code: number; receipt: string }[] }>('receipt/receipts.json').cases.filter((c) => c.code === 0)
const receipt = bytesOf(receipts[0]?.receipt ?? '')

test('an altered block decodes to what encodes to it, or not at all', () => {
  const block = decodeReceipt(receipt).block
  fc.assert(
    fc.property(altered(block), (b) => only([ProtoError], () => expect(equal(encodeBlock(decodeBlock(b)), b)).toBe(true))),
    { numRuns: 2000 },
  )
})

test('an altered receipt is refused with a code or read', () => {
  fc.assert(
    fc.property(altered(receipt), (b) => only([Refusal], () => void decodeReceipt(b))),
    { numRuns: 1000 },
  )
})

test('an altered proof is no proof or another one', () => {
  for (const c of vectors<{ key?: string; proof: string; valid: boolean }[]>('state/proofs.json').filter((x) => x.key !== undefined && x.valid)) {
    const { proof } = decodeAny(keyProofSchema, bytesOf(c.proof), 1 << 20)
    fc.assert(
      fc.property(altered(proof), (b) => only([ProtoError], () => void decodeProof(b))),
      { numRuns: 500 },
    )
  }
})

test('an altered frame gives bytes within the limit, or an error', () => {
  const dictionary = openDictionary(file(`seal/compress/dict/${dictionaryName}`))
  const frames = vectors<{ packed: string; valid: boolean }[]>('seal/compress.json').filter((c) => c.valid && c.packed.startsWith('01') && c.packed.length < 6000)
  expect(frames.length).toBeGreaterThan(10)
  for (const c of frames) {
    fc.assert(
      fc.property(altered(bytesOf(c.packed).slice(1)), (b) => only([ZstdError], () => expect(decompressFrame(b, dictionary, 1 << 16).length).toBeLessThanOrEqual(1 << 16))),
      { numRuns: 150 },
    )
  }
})

test('deep nesting, long arrays and lengths beyond the input are refused', () => {
  const limits = { elements: 4096 }
  expect(() => parse(new Uint8Array(100_000).fill(0x81), limits)).toThrow(Refusal)
  expect(() => parse(bytesOf('9a00100000'), limits)).toThrow(Refusal)
  expect(() => parse(bytesOf('5b7fffffffffffffff'), limits)).toThrow(Refusal)
  expect(() => parse(bytesOf('bbffffffffffffffff'), limits)).toThrow(Refusal)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (b) => only([Refusal], () => void parse(Uint8Array.from(b), limits))),
    { numRuns: 3000 },
  )
})
