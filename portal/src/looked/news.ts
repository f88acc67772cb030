/**
 * What is new in the log since the person last looked. The gateway only says
 * that the log grew (server-sent events); what the entries say is verified.
 * What was seen is one number in this browser: the server is told nothing.
 */
import { useCallback, useEffect, useState } from 'react'
import { type Keeper, keeper, seenName } from './keep'

/** unread is how many of n entries come after the one seen last. */
export const unread = (n: bigint, seen: bigint): number => (n > seen ? Number(n - seen) : 0)

/** seenOf reads how far the person has looked. */
export const seenOf = async (account: string, keep: Keeper = keeper): Promise<bigint> => (await keep.get<bigint>(seenName(account))) ?? 0n

export interface News {
  /** entries of the log */
  readonly count: bigint
  readonly seen: bigint
  markSeen(n: bigint): void
}

const changed = 'salus-seen'

/** useNews follows the account's log. */
export function useNews(account: string): News {
  const [count, setCount] = useState(0n)
  const [seen, setSeen] = useState(0n)
  useEffect(() => {
    let alive = true
    const read = () => void seenOf(account).then((n) => {
      if (alive) setSeen(n)
    })
    read()
    window.addEventListener(changed, read)
    const events = new EventSource('/api/events?since=0')
    events.addEventListener('log', (e: MessageEvent<unknown>) => {
      if (typeof e.data === 'string' && /^[0-9]{1,18}$/.test(e.data)) setCount(BigInt(e.data))
    })
    return () => {
      alive = false
      events.close()
      window.removeEventListener(changed, read)
    }
  }, [account])
  const markSeen = useCallback((n: bigint) => {
    void keeper.put(seenName(account), n).then(() => window.dispatchEvent(new Event(changed)))
  }, [account])
  return { count, seen, markSeen }
}
