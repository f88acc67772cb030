/** Asking all custodians at once, so that nobody learns a choice and one that is down costs nothing: package record's ask. */
import { codeOf } from '../wire/refusal.ts'

/** notReleased is a custodian's one answer to what the committed state does not allow: spec/custody.md section 7. */
export const notReleased = 0x2101

/** An Answer is one custodian's: its value or its error; undefined if it was not waited for. */
export type Answer<T> = { readonly value: T } | { readonly error: unknown } | undefined

/** Enough says when the custodians that are still silent need not be waited for. */
export interface Enough {
  /** answers that settle it, and how long the others are waited for after those, in milliseconds */
  readonly t: number
  readonly grace: number
  /** refusals (not released) beyond this number settle it too */
  readonly refusals?: number
}

/** askAll calls n custodians, numbered from 0, and returns each one's answer. The signal ends the calls that are not needed any more. */
export async function askAll<T>(n: number, enough: Enough, call: (i: number, signal: AbortSignal) => Promise<T>, cancel?: AbortSignal): Promise<Answer<T>[]> {
  const answers = new Array<Answer<T>>(n).fill(undefined)
  const stop = new AbortController()
  let answered = 0
  let refused = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const settled = new Promise<void>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve())
  })
  const cancelled = () => stop.abort(cancel?.reason)
  cancel?.addEventListener('abort', cancelled)
  const one = async (i: number) => {
    try {
      answers[i] = { value: await call(i, stop.signal) }
      if (++answered === enough.t) timer = setTimeout(() => stop.abort(), enough.grace)
    } catch (error) {
      answers[i] ??= { error }
      if (codeOf(error) === notReleased && enough.refusals !== undefined && ++refused > enough.refusals) stop.abort()
    }
  }
  await Promise.race([Promise.all(Array.from({ length: n }, (_, i) => one(i))), settled])
  clearTimeout(timer)
  cancel?.removeEventListener('abort', cancelled)
  const got = [...answers] // what comes later is not looked at
  stop.abort()
  cancel?.throwIfAborted()
  return got
}
