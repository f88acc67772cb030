/**
 * Reading one's own record: a session for one's own request (PATRQT), the list of
 * what custodians name, one committed list, and every record opened here. What the
 * gateway relays is sealed to a key that this page made and that dies with the sitting; what it
 * says of the ledger counts only as far as it is proven.
 */
import { accountText, type Custodians, entryLeaf, equal, hex, kindIndex, kindRecord, type Located, openSlotMap, type Opened, type Progress, Refusal, SealError, TooFew } from '../core'
import { loadDictionary } from '../core/dictionary.ts'
import { type About, getBytes, getJSON, type Member, postBytes, Problem } from '../app/api'
import type { Source, Target } from './model/item.ts'
import type { Sittings, Whose } from '../app/sitting'

/** Step says what goes on: sign waits for the passkey. */
export interface Step {
  readonly step: 'sign' | 'own' | 'ledger' | 'locate' | 'list' | 'release' | 'fetch' | 'open'
  readonly done: number
  readonly of: number
}

/** Loaded is an opened record, and what is to be said about how it was opened. */
export interface Loaded {
  readonly sources: readonly Source[]
  /** accounts of members to names */
  readonly names: ReadonlyMap<string, string>
  /** custodians whose answers did not verify, by name */
  readonly bad: readonly string[]
  readonly height: bigint
  /** only what the organisation of this portal wrote, on its word (own.ts) */
  readonly partial: boolean
}

/** relayed carries a custodian's refusal as core knows it. */
async function relayed(path: string, body: Uint8Array): Promise<Uint8Array> {
  try {
    return await postBytes(path, new Uint8Array(body))
  } catch (err) {
    if (err instanceof Problem && /^0x[0-9a-f]{4}$/.test(err.code)) throw new Refusal(Number(err.code), err.message)
    throw err
  }
}

/** custodians are reached over the gateway, which carries what is sealed. */
export const custodians: Custodians = {
  locate: (c, request) => relayed(`relay/${accountText(c)}/locate`, request),
  release: (c, request) => relayed(`relay/${accountText(c)}/release`, request),
  ciphertext: (holders, address, signal) => getBytes(`relay/blob/${hex(address)}?${new URLSearchParams(holders.map((h) => ['holder', accountText(h)])).toString()}`, signal),
  async ciphertexts(holders, addresses, signal) {
    const ask = new TextEncoder().encode(JSON.stringify({ addresses: addresses.map(hex), holders: holders.map(accountText) }))
    return pieces(await postBytes('relay/blobs', ask, 'application/json', signal), addresses.length)
  },
}

/** pieces takes an answer of many ciphertexts apart: each behind its length, 2^32 - 1 for one that is missing. */
export function pieces(raw: Uint8Array, n: number): (Uint8Array | undefined)[] {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const out: (Uint8Array | undefined)[] = []
  let at = 0
  for (let i = 0; i < n; i++) {
    if (at + 4 > raw.length) throw new Problem('answer', 'portal: the answer is cut off')
    const size = view.getUint32(at)
    at += 4
    if (size === 0xffff_ffff) {
      out.push(undefined)
      continue
    }
    if (at + size > raw.length) throw new Problem('answer', 'portal: the answer is cut off')
    out.push(raw.subarray(at, at + size))
    at += size
  }
  if (at !== raw.length) throw new Problem('answer', 'portal: the answer is too long')
  return out
}

/** isMap reports whether an opened record is her slot map: it lies among her records, and is no part of what was written about her. */
export function isMap(body: Uint8Array | undefined): boolean {
  if (body?.[0] !== 0xa2) return false // CBOR's map of two, which no JSON begins with
  try {
    openSlotMap(body)
    return true
  } catch {
    return false
  }
}

/** targetsOf names a record, and with it the index records of its batch under the same slots: they say of what type it is, and its title. */
export function targetsOf(l: Located, all: readonly Located[]): Target[] {
  const index = all.filter((o) => o.entry.kind === kindIndex && o.entry.slots === l.entry.slots && equal(o.item.header, l.item.header))
  return [l, ...index].map((o) => ({ batch: o.item.header, leaf: entryLeaf(o.entry, o.item.index) }))
}

/** sourceOf makes what the model reads of what core opened; all is what was located. */
export function sourceOf(o: Opened, all: readonly Located[]): Source {
  const { item, anchored } = o.located
  const { author, time, index } = anchored.batch
  const s = { key: `${hex(item.header)}/${item.index}`, author: accountText(author), time: Number(time), log: Number(index), targets: targetsOf(o.located, all) }
  if (o.body !== undefined) return { ...s, body: o.body }
  return { ...s, error: o.error instanceof SealError ? o.error.fault : 'other' }
}

/** loadRecord opens everything that is hers, or what whose names of another's. @throws Problem, Refusal, TooFew */
export async function loadRecord(about: About, account: string, sittings: Sittings, tell: (s: Step) => void, cancel: AbortSignal, whose?: Whose): Promise<Loaded> {
  try {
    const [dictionary, members] = await Promise.all([loadDictionary(), getJSON<Member[]>('members', cancel)])
    const names = new Map(members.map((m) => [m.account, m.name]))
    const step = (s: 'confirm' | 'sent' | 'list') => tell({ step: s === 'sent' ? 'ledger' : s === 'list' ? 'list' : 'sign', done: 0, of: 1 })
    const loaded = await sittings.read(about, account, custodians, dictionary, step, cancel, async (reader, { height }): Promise<Loaded | undefined> => {
      tell({ step: 'locate', done: 0, of: 1 })
      const all = await reader.locate(cancel)
      const located = all.filter((l) => l.entry.kind === kindRecord)
      const index = all.filter((l) => l.entry.kind === kindIndex)
      if (located.length === 0) return { sources: [], names, bad: [], height, partial: false }
      const progress: Progress = (p) => tell(p)
      const { records, bad } = await reader.read(located, progress, cancel)
      if (records.length === 0) return undefined
      return { sources: records.filter((r) => !isMap(r.body)).map((r) => sourceOf(r, index)), names, bad: bad.map((b) => names.get(accountText(b.account)) ?? accountText(b.account)), height, partial: false }
    }, (l) => l === undefined, whose)
    if (loaded === undefined) throw new Problem('ended', 'portal: the custodians released nothing')
    return loaded
  } catch (err) {
    if (err instanceof TooFew) throw new Problem('unreachable', err.message)
    throw err
  }
}
