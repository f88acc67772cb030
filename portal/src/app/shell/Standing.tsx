import { createContext, use, useEffect, useState } from 'react'
import { getJSON } from '../api'
import { useText } from '../text/text'

/** How often it is asked, in milliseconds: a ledger that stands still is known after about 15 s. */
const every = 10_000

/** Still says since when the ledger stands still, in unix seconds, and for how many seconds, by the node's clock. */
export interface Still {
  readonly noQuorum: number
  readonly seconds: number
}

export const StandingContext = createContext<Still | undefined>(undefined)

/** useStanding is how the ledger stands still; undefined while it goes on, or while nobody knows. */
export const useStanding = (): Still | undefined => use(StandingContext)

/** useAsked asks this portal's node again and again. Without an answer the last one stands. */
export function useAsked(): Still | undefined {
  const [still, setStill] = useState<Still>()
  useEffect(() => {
    const stop = new AbortController()
    const look = (): void => {
      getJSON<Still>('node', stop.signal).then((s) => setStill(s.noQuorum > 0 ? s : undefined), () => undefined)
    }
    look()
    const timer = setInterval(look, every)
    return () => {
      clearInterval(timer)
      stop.abort()
    }
  }, [])
  return still
}

/** Standing says what is not possible while too few members can be reached, and for how long that has been. Only its coming and going is announced. */
export function Standing({ standing }: { readonly standing: Still | undefined }) {
  const { t, time, duration } = useText()
  return (
    <section {...(standing === undefined ? {} : { 'className': 'note note-bad standing', 'aria-labelledby': 'standing' })}>
      <div role="status">
        {standing !== undefined && (
          <>
            <strong id="standing">{t('standing.title', { time: time(standing.noQuorum) })}</strong>
            <p>{t('standing.text')}</p>
          </>
        )}
      </div>
      {standing !== undefined && <p>{t('standing.for', { duration: duration(standing.seconds) })}</p>}
    </section>
  )
}
