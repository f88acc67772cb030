import { Button, Loader } from '@mantine/core'
import { type ReactNode, useCallback, useEffect, useState } from 'react'
import { codeOf, FactError } from '../../core'
import { Problem } from '../api'
import { useSession } from '../session'
import type { Key } from '../text/en'
import { type Text, useText } from '../text/text'

/** refusals are the ledger's reasons that mean something to who asked. */
const refusals: Readonly<Record<number, Key>> = { 0x0314: 'era.code.locked', 0x0a06: 'era.code.erased', 0x0a07: 'era.code.doubled', 0x0a08: 'era.code.many', 0x0a09: 'era.code.held', 0x0a0a: 'era.code.retained', 0x0a0b: 'era.code.nothers' }

/** refused says what a refusal's code means, undefined for one that only somebody who knows the codes understands. */
export const refused = (code: number, { t }: Pick<Text, 't'>): string | undefined => {
  const key = refusals[code]
  return key === undefined ? undefined : t(key)
}

/** sentence says what went wrong and what to do. */
export function sentence(err: unknown, text: Text): string {
  if (err instanceof Problem) {
    switch (err.code) {
      case 'session': return text.t('error.session')
      case 'proof': return text.t('error.proof')
      case 'rate': return text.t('error.rate')
      case 'offline': return text.t('error.offline')
      case '0x2409': return text.t('error.still')
      case 'unreachable':
      case 'busy': return text.t('error.unreachable')
      case 'unsettled': return text.t('error.unsettled')
      case 'passkey': return text.t('error.passkey')
      case 'noPasskeys': return text.t('error.noPasskeys')
      case 'staffPasskey': return text.t('error.staffPasskey')
      case 'otherPasskey': return text.t('error.otherPasskey')
      case 'pending': return text.t('error.pending')
      default: return (/^0x[0-9a-f]{4}$/.test(err.code) ? refused(Number(err.code), text) : undefined) ?? text.t('error.other', { text: err.message, code: err.code })
    }
  }
  if (err instanceof FactError) return err.fault === 'stale' ? text.t('error.stale') : text.t('error.unproven', { fault: err.fault })
  const code = codeOf(err)
  const known = code === undefined ? undefined : refused(code, text)
  if (known !== undefined) return known
  return text.t('error.other', { text: err instanceof Error ? err.message : '', code: code === undefined ? 'internal' : `0x${code.toString(16).padStart(4, '0')}` })
}

/** Failure shows an error where the thing would have been. */
export function Failure({ error, retry }: { readonly error: unknown; readonly retry?: () => void }) {
  const text = useText()
  return (
    <div className="note note-bad" role="alert">
      <strong>{text.t('error.title')}</strong>
      <p>{sentence(error, text)}</p>
      {retry && <Button onClick={retry} variant="default">{text.t('app.retry')}</Button>}
    </div>
  )
}

/** Empty says what will be here and how it comes. */
export function Empty({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <div className="note">
      <strong>{title}</strong>
      <p>{children}</p>
    </div>
  )
}

type State<T> = { readonly at: 'loading' } | { readonly at: 'done'; readonly value: T } | { readonly at: 'failed'; readonly error: unknown }

/**
 * Load fetches what a view needs and shows progress, the error with a way to
 * try again, or the view. fetch must be stable (a function of the module, or
 * useCallback). every is the
 * pause in seconds before it is fetched again: for public facts alone, since a
 * request of a session keeps it alive at the server.
 */
export function Load<T>({ fetch, every, children }: { readonly fetch: (signal: AbortSignal) => Promise<T>; readonly every?: number; readonly children: (value: T) => ReactNode }) {
  const text = useText()
  const session = useSession()
  const [state, setState] = useState<State<T>>({ at: 'loading' })
  const [turn, setTurn] = useState(0)
  const ended = session.ended
  useEffect(() => {
    const stop = new AbortController()
    fetch(stop.signal).then(
      (value) => {
        if (!stop.signal.aborted) setState({ at: 'done', value })
      },
      (error: unknown) => {
        if (stop.signal.aborted) return
        if (error instanceof Problem && error.code === 'session') ended()
        else setState({ at: 'failed', error })
      },
    )
    const timer = every === undefined ? undefined : window.setTimeout(() => setTurn((t) => t + 1), every * 1000)
    return () => {
      stop.abort()
      window.clearTimeout(timer)
    }
  }, [fetch, every, turn, ended])
  const retry = useCallback(() => {
    setState({ at: 'loading' })
    setTurn((t) => t + 1)
  }, [])
  switch (state.at) {
    case 'loading':
      return <p className="loading" role="status"><Loader size="sm" aria-hidden="true" /> {text.t('app.loading')}</p>
    case 'failed':
      return <Failure error={state.error} retry={retry} />
    case 'done':
      return children(state.value)
  }
}
