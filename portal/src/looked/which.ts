/**
 * Which records an access named. The ledger has only a commitment to the list; custodians tell the
 * list to the patient alone, sealed to a key of this page. A list counts if it is the one that the
 * verified entry commits to, so one honest custodian is enough, and none needs to be believed.
 */
import { askAll, askOpenings, hex, keyPair, openingsDigestOf, parseAccount, verifyOpening } from '../core'
import { type About, getJSON, type Member, postBytes, Problem } from '../app/api'
import { provenFacts } from '../app/facts'
import { signDigest } from '../app/sign'

/** Named is the records of one batch: how many of them, who wrote them, when it was committed (unix seconds). */
export interface Named {
  readonly count: number
  /** undefined if the ledger shows no such batch */
  readonly author: Uint8Array | undefined
  readonly time: bigint
}

export interface Access {
  readonly session: Uint8Array
  /** what the entry commits to */
  readonly root: Uint8Array
  readonly count: number
  readonly height: bigint
}

/**
 * firstTold asks all of n custodians at once and returns what the first tells, so that one that keeps silent holds nobody up.
 * undefined, nonsense and failures are no answers; who asks is not signed in any more is one for all.
 * @throws Problem noList if none tells anything, session
 */
export async function firstTold<T>(n: number, ask: (i: number, signal: AbortSignal) => Promise<T | undefined>, signal: AbortSignal): Promise<T> {
  const answers = await askAll(n, { t: 1, grace: 0 }, async (i, stop) => {
    const told = await ask(i, stop)
    if (told === undefined) throw new Problem('noList', 'portal: this custodian does not have the list')
    return told
  }, signal)
  for (const a of answers) if (a !== undefined && 'value' in a) return a.value
  for (const a of answers) if (a !== undefined && 'error' in a && a.error instanceof Problem && a.error.code === 'session') throw a.error
  throw new Problem('noList', 'portal: no custodian has the list')
}

/** whichRecords asks the custodians until one tells the committed list. @throws Problem noList if none does */
export async function whichRecords(about: About, account: string, access: Access, signal: AbortSignal): Promise<readonly Named[]> {
  parseAccount(account)
  const key = keyPair()
  try {
    const signature = await signDigest(about, account, openingsDigestOf(about.chain, access.session, key), signal)
    const [{ members: present }, all] = await Promise.all([getJSON<{ members: readonly string[] }>('committee', signal), getJSON<Member[]>('members', signal)])
    // Lists stay where they were told: after another committee took over, with those who kept shares before.
    const whom = [...present, ...all.filter((m) => m.active && !present.includes(m.account)).map((m) => m.account)]
    const list = await firstTold(whom.length, async (i, stop) => {
      const told = await askOpenings({ session: access.session, key, signature }, (q) => postBytes(`relay/${whom[i] ?? ''}/openings`, new Uint8Array(q), 'application/cbor', stop))
      return told.find((o) => verifyOpening(o, access.root, access.count))?.list
    }, signal)
    const counts = new Map<string, { header: Uint8Array; count: number }>()
    for (const { header } of list.items) {
      const name = hex(header)
      counts.set(name, { header, count: (counts.get(name)?.count ?? 0) + 1 })
    }
    const facts = await provenFacts(about, access.height)
    await facts.expect([...counts.values()].map((c) => c.header))
    return await Promise.all([...counts.values()].map(async ({ header, count }): Promise<Named> => {
      const a = await facts.anchored(header)
      return { count, author: a?.batch.author, time: a?.batch.time ?? 0n }
    }))
  } finally {
    key.seed.fill(0)
  }
}
