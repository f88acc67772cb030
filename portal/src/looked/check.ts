/**
 * The check of an access log in the browser: from the pinned genesis through
 * signed headers, the proof of the state's row, and the hash chain, to the
 * entries. Every way in which it can fail has a name of its own, so that the
 * page can say exactly what does not fit. spec/audit.md, spec/receipt.md.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { ChainError, codeOf, decodeReceipt, equal, extend, type Finding, ForkError, LightClient, type Link, readBlock } from '../core'
import { type Keeper, type Light, lightName, type LogMark, markName } from './keep'

/** What does not fit. The first six are core's ChainFault. */
export type Fault =
  | 'entry' | 'patient' | 'gap' | 'link' | 'order' | 'head'
  | 'format' | 'genesis' | 'pin' | 'commit' | 'state' | 'fork' | 'shorter' | 'rewritten' | 'internal'

/** Verdict: the whole log as proven, or the one thing at fault. seq is the entry at fault, where there is one. */
export type Verdict =
  | { readonly ok: true; readonly finding: Finding; readonly links: readonly Link[] }
  | { readonly ok: false; readonly fault: Fault; readonly seq: bigint; readonly code: string }

/** Given is what the portal served; header gives the signed block of a height, in the encoding of receipts. */
export interface Given {
  readonly genesis: Uint8Array
  readonly receipt: Uint8Array
  readonly account: Uint8Array
  readonly accountText: string
  header(height: bigint): Promise<Uint8Array>
}

const bad = (fault: Fault, code: number | undefined, seq = 0n): Verdict => ({ ok: false, fault, seq, code: code === undefined ? 'internal' : `0x${code.toString(16).padStart(4, '0')}` })

/** faultOf names an error of core. */
function faultOf(err: unknown): Verdict {
  if (err instanceof ForkError) return bad('fork', 0x2503)
  const code = codeOf(err)
  const cause = err instanceof Error ? err.cause : undefined
  switch (code) {
    case 0x2501: return bad('format', code)
    case 0x2502: return bad('genesis', code)
    case 0x2503: return bad('commit', code)
    case 0x2504: return bad('state', code)
    case 0x2505: return cause instanceof ChainError ? bad(cause.fault, code, cause.seq) : bad('link', code)
    default: return bad('internal', code)
  }
}

/** trusted begins at what this browser pinned, or pins what it sees first. */
async function trusted(given: Given, keep: Keeper): Promise<LightClient | Verdict> {
  const name = sha256(given.genesis)
  const light = await keep.get<Light>(lightName)
  if (light === undefined) return new LightClient(given.genesis)
  if (!equal(light.genesis, name)) return bad('pin', 0x2502)
  return LightClient.restore(given.genesis, light.saved)
}

/** headOf is the chain head after the first n entries. */
const headOf = (entries: readonly Uint8Array[], n: bigint): Uint8Array => entries.slice(0, Number(n)).reduce(extend, new Uint8Array(32))

/**
 * checkLog verifies a log from the genesis on and remembers how far it came.
 * @throws what header throws, and nothing else
 */
export async function checkLog(given: Given, keep: Keeper): Promise<Verdict> {
  let client: LightClient | Verdict
  let finding: Finding
  let entries: readonly Uint8Array[]
  try {
    client = await trusted(given, keep)
    if (!(client instanceof LightClient)) return client
    const r = decodeReceipt(given.receipt)
    if (r.audit === undefined) return bad('format', 0x2501)
    if (!equal(r.audit.patient, given.account)) return bad('patient', 0x2505)
    entries = r.audit.entries
    await headers(client, readBlock(r.block).header.height, given)
    finding = client.check(r)
  } catch (err) {
    return faultOf(err)
  }
  const links = finding.audit?.links ?? []
  const mark = await keep.get<LogMark>(markName(given.accountText))
  if (mark !== undefined) {
    if (BigInt(entries.length) < mark.seq) return bad('shorter', 0x2505, mark.seq)
    if (!equal(headOf(entries, mark.seq), mark.head)) return bad('rewritten', 0x2505, mark.seq)
  }
  await keep.put(lightName, { genesis: sha256(given.genesis), saved: client.save() } satisfies Light)
  await keep.put(markName(given.accountText), { seq: BigInt(entries.length), head: headOf(entries, BigInt(entries.length)) } satisfies LogMark)
  return { ok: true, finding, links }
}

/**
 * headers follows the chain towards a height, over blocks between where the
 * validators changed. A header that cannot be fetched is no fault of the log:
 * the receipt then has to bring its own way from the genesis.
 */
async function headers(client: LightClient, height: bigint, given: Given): Promise<void> {
  let missing: unknown
  try {
    await client.advance(height, async (h) => {
      try {
        return await given.header(h)
      } catch (err) {
        missing = err
        throw err
      }
    })
  } catch (err) {
    if (missing === undefined) throw err
  }
}
