/**
 * What this browser remembers between visits, in IndexedDB: the genesis that
 * it saw first, the light client's trust, and how far each log was verified
 * and seen. Only public facts of the chain and counts, under the hash of the
 * account: no plaintext, no key, no pseudonym.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, hex, utf8 } from '../core'

/** Light is the pinned network. */
export interface Light {
  /** SHA-256 of the genesis file that was seen first */
  readonly genesis: Uint8Array
  /** LightClient.save */
  readonly saved: Uint8Array
}

/** LogMark is how far a log was verified: its number of entries and their chain head. */
export interface LogMark {
  readonly seq: bigint
  readonly head: Uint8Array
}

/** Keeper keeps small values by name. */
export interface Keeper {
  get<T>(name: string): Promise<T | undefined>
  put(name: string, value: unknown): Promise<void>
  clear(): Promise<void>
}

/** lightName and markName and seenName are names in a Keeper. */
export const lightName = 'light'
const named = (what: string, account: string) => `${what}/${hex(sha256(concat(utf8(`salus/portal/${what}\0`), utf8(account))))}`
export const markName = (account: string): string => named('log', account)
export const seenName = (account: string): string => named('seen', account)
/**
 * coolingName is where localStorage keeps that widening waits a day. That is this browser's own: the ledger
 * knows only when each consent begins.
 */
export const coolingName = (account: string): string => named('cooling', account)

/** memory keeps for as long as the page lives. */
export function memory(): Keeper {
  const m = new Map<string, unknown>()
  return {
    get: <T>(name: string) => Promise.resolve(m.get(name) as T | undefined),
    put: (name, value) => Promise.resolve(void m.set(name, value)),
    clear: () => Promise.resolve(m.clear()),
  }
}

const store = 'kept'

function open(): Promise<IDBDatabase> {
  return new Promise((done, fail) => {
    const r = indexedDB.open('salus', 1)
    r.onupgradeneeded = () => r.result.createObjectStore(store)
    r.onsuccess = () => done(r.result)
    r.onerror = () => fail(r.error ?? new Error('portal: no IndexedDB'))
  })
}

async function run<T>(mode: IDBTransactionMode, f: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await open()
  try {
    return await new Promise((done, fail) => {
      const t = db.transaction(store, mode)
      const r = f(t.objectStore(store))
      t.oncomplete = () => done(r.result)
      t.onabort = () => fail(t.error ?? new Error('portal: IndexedDB'))
    })
  } finally {
    db.close()
  }
}

const database: Keeper = {
  get: <T>(name: string) => run<T | undefined>('readonly', (s) => s.get(name) as IDBRequest<T | undefined>),
  put: async (name, value) => void (await run('readwrite', (s) => s.put(value, name))),
  clear: async () => void (await run('readwrite', (s) => s.clear())),
}

/** fallback goes on in memory where the browser allows no storage (a private window). */
function fallback(first: Keeper): Keeper {
  const second = memory()
  const or = async <T>(f: (k: Keeper) => Promise<T>): Promise<T> => {
    try {
      return await f(first)
    } catch {
      return f(second)
    }
  }
  return { get: (n) => or((k) => k.get(n)), put: (n, v) => or((k) => k.put(n, v)), clear: () => or((k) => k.clear()) }
}

/** keeper is this browser's. */
export const keeper: Keeper = fallback(database)
