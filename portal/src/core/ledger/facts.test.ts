import { describe, expect, test } from 'vitest'
import { type Anchored, anchoredSchema, heldBy, seatsOf } from '../custody/message.ts'
import { algEd25519 } from '../tx/key.ts'
import { put } from '../tx/message.ts'
import { bytesOf, vectors } from '../testing.ts'
import { hex } from '../wire/bytes.ts'
import { decodeAny, encode, opt, bool, struct, u64 } from '../wire/schema.ts'
import { entrySchema } from './audit.ts'
import { VerifiedFacts, type Verified } from './facts.ts'
import { batchSchema, epochSchema, memberSchema, rowKeys } from './rows.ts'

const header = (vectors<{ batches: { header: string; anchored: string }[] }>('custody/session.json').batches[0] ?? { header: '', anchored: '' })
const a = decodeAny(anchoredSchema, bytesOf(header.anchored), 1 << 16)
const pointer = struct({ epoch: [1, u64], cut: [2, opt(u64)], tail: [3, opt(bool)] })
const account = (i: number) => new Uint8Array(16).fill(i)
const key = (i: number) => new Uint8Array(32).fill(i)

/** ledger has three epochs, of one member each, and one batch. */
function ledger(at: { epoch: bigint; cut: bigint; tail: boolean }, batch: Partial<Anchored['batch']>) {
  const rows = new Map<string, Uint8Array>()
  for (let i = 3; i <= 5; i++) {
    rows.set(hex(rowKeys.epoch(BigInt(i))), encode(epochSchema, { epoch: BigInt(i), n: 1, t: 1, members: [account(i)], height: 1n }))
    const keys = [{ public: { alg: algEd25519, key: key(i), rpIdHash: new Uint8Array(0) }, from: 1n, until: 0n }]
    rows.set(hex(rowKeys.member(account(i))), encode(memberSchema, { account: account(i), name: 'Sample', class: 'clinic', clinical: true, validator: key(1), peer: key(2), address: 'a:1', active: true, joined: 1n, keys }))
  }
  rows.set(hex(rowKeys.currentEpoch()), encode(pointer, at))
  rows.set(hex(rowKeys.batch(bytesOf(header.header))), encode(batchSchema, { ...a.batch, holders: 1n, ...batch }))
  const v: Verified & { renewed: number } = {
    chain: 'salus-test',
    renewed: 0,
    row: async (k) => rows.get(hex(k)),
    entry: async () => encode(entrySchema, { kind: 0x0501, height: 9n, time: 1n, tx: new Uint8Array(32), payload: encode(put, a.put) }),
    renew() {
      this.renewed++
    },
  }
  return { facts: new VerifiedFacts(v), rows, v }
}

const has = async (at: { epoch: bigint; cut: bigint; tail: boolean }, batch: Partial<Anchored['batch']>) => {
  const got = await ledger(at, batch).facts.anchored(bytesOf(header.header))
  return got === undefined ? undefined : heldBy(got)
}

describe('the epoch that holds a batch', () => {
  test.each([
    ['its own, while that is in force', { epoch: 3n, cut: 0n, tail: false }, 3n, 10n, 3n],
    ['the next, once that is in force', { epoch: 4n, cut: 0n, tail: false }, 3n, 10n, 4n],
    ['the next, of what was active when the change began', { epoch: 4n, cut: 10n, tail: true }, 3n, 10n, 4n],
    ['its own still, of what became active later', { epoch: 4n, cut: 9n, tail: true }, 3n, 10n, 3n],
    ['the one in force, of what was sealed for it', { epoch: 4n, cut: 9n, tail: true }, 4n, 12n, 4n],
    ['the one before, of what an earlier epoch sealed', { epoch: 5n, cut: 9n, tail: true }, 3n, 10n, 4n],
  ])('%s', async (_, at, epoch, active, want) => {
    expect(await has(at, { epoch, active })).toBe(want)
  })

  test('none, before it is active', async () => {
    expect(await has({ epoch: 4n, cut: 0n, tail: false }, { epoch: 3n, active: 0n })).toBeUndefined()
  })

  test('is asked for again, though a batch that is active is for ever', async () => {
    const { facts, rows, v } = ledger({ epoch: 3n, cut: 0n, tail: false }, { epoch: 3n, active: 10n })
    expect(heldBy((await facts.anchored(bytesOf(header.header))) ?? a)).toBe(3n)
    rows.set(hex(rowKeys.currentEpoch()), encode(pointer, { epoch: 4n, cut: 0n, tail: false }))
    facts.renew()
    expect(v.renewed).toBe(1)
    expect(heldBy((await facts.anchored(bytesOf(header.header))) ?? a)).toBe(4n)
  })
})

test('the committee before is known while it holds batches, and no longer', async () => {
  const during = await ledger({ epoch: 4n, cut: 9n, tail: true }, {}).facts.committee()
  expect([seatsOf(during, 4n)?.keys, seatsOf(during, 3n)?.keys, seatsOf(during, 5n)]).toEqual([[[key(4)]], [[key(3)]], undefined])
  const behind = await ledger({ epoch: 4n, cut: 0n, tail: false }, {}).facts.committee()
  expect([seatsOf(behind, 4n)?.epoch.members, seatsOf(behind, 3n)]).toEqual([[account(4)], undefined])
})
