import { Button, Loader } from '@mantine/core'
import { useCallback, useEffect, useRef, useState } from 'react'
import { Failure } from '../app/part/load'
import type { Step } from '../app/sign'
import { useText } from '../app/text/text'

type State = { readonly at: 'idle' } | { readonly at: Step | 'start' | 'locate' } | { readonly at: 'done'; readonly sentence: string } | { readonly at: 'failed'; readonly error: unknown }

/** Acting is one thing at a time that a passkey confirms. */
export interface Acting {
  readonly state: State
  readonly busy: boolean
  /** run does it; what it returns is said when it is done */
  run(f: (step: (s: Step | 'locate') => void, signal: AbortSignal) => Promise<string>): void
  cancel(): void
}

export function useAct(): Acting {
  const [state, setState] = useState<State>({ at: 'idle' })
  const stop = useRef<AbortController>(undefined)
  useEffect(() => () => stop.current?.abort(), [])
  const cancel = useCallback(() => {
    stop.current?.abort()
    setState({ at: 'idle' })
  }, [])
  const run = useCallback<Acting['run']>((f) => {
    const c = new AbortController()
    stop.current = c
    const set = (s: State) => {
      if (!c.signal.aborted) setState(s)
    }
    set({ at: 'start' })
    f((s) => set({ at: s }), c.signal).then((sentence) => set({ at: 'done', sentence }), (error: unknown) => set({ at: 'failed', error }))
  }, [])
  return { state, busy: !['idle', 'done', 'failed'].includes(state.at), run, cancel }
}

/** Progress shows how far it is, a way out as long as there is one, and how it ended. */
export function Progress({ act }: { readonly act: Acting }) {
  const { t } = useText()
  const { state } = act
  return (
    <div aria-live="polite">
      {state.at === 'done' && <p className="note note-good">{state.sentence}</p>}
      {act.busy && (
        <p className="loading">
          <Loader size="sm" aria-hidden="true" /> {t(`act.${state.at as 'start'}`)}
          {state.at !== 'sent' && <Button size="xs" variant="default" onClick={act.cancel}>{t('act.cancel')}</Button>}
        </p>
      )}
      {state.at === 'failed' && <Failure error={state.error} />}
    </div>
  )
}
