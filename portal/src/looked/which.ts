/**
 * Which records an access named. The ledger has only a commitment to the list; custodians tell the
 * list to the patient alone, sealed to a key of this page. A list counts if it is the one that the
 * verified entry commits to, so one honest custodian is enough, and none needs to be believed.
 */
import { askOpenings, hex, keyPair, openingsDigestOf, parseAccount, verifyOpening } from '../core'
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

/** whichRecords asks the custodians, one after the other, until one tells the committed list. @throws Problem unknown if none does */
export async function whichRecords(about: About, account: string, access: Access, signal: AbortSignal): Promise<readonly Named[]> {
  parseAccount(account)
  const key = keyPair()
  try {
    const signature = await signDigest(about, account, openingsDigestOf(about.chain, access.session, key), signal)
    const [{ members: present }, all] = await Promise.all([getJSON<{ members: readonly string[] }>('committee', signal), getJSON<Member[]>('members', signal)])
    // Lists stay where they were told: after another committee took over, with those who kept shares before.
    const before = all.filter((m) => m.active && !present.includes(m.account)).map((m) => m.account)
    for (const member of [...present, ...before]) {
      const list = await askOpenings({ session: access.session, key, signature }, (q) => postBytes(`relay/${member}/openings`, new Uint8Array(q), 'application/cbor', signal)).then(
        (all) => all.find((o) => verifyOpening(o, access.root, access.count))?.list,
        (err: unknown) => {
          if (signal.aborted || (err instanceof Problem && err.code === 'session')) throw err
          return undefined // this one does not answer, or nonsense
        },
      )
      if (list === undefined) continue
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
    }
    throw new Problem('noList', 'portal: no custodian has the list')
  } finally {
    key.seed.fill(0)
  }
}
