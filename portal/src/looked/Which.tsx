import { Button } from '@mantine/core'
import { useCallback, useEffect, useRef, useState } from 'react'
import { accountText } from '../core'
import { getJSON, type Member, Problem } from '../app/api'
import { Failure } from '../app/part/load'
import { useSession } from '../app/session'
import { useText } from '../app/text/text'
import { type Access, type Named, whichRecords } from './which'

type State = { readonly at: 'idle' | 'asking' } | { readonly at: 'done'; readonly list: readonly Named[]; readonly names: ReadonlyMap<string, string> } | { readonly at: 'failed'; readonly error: unknown }

/** Which tells, when it is asked for, which records an access named: how many of whom, of when. */
export function Which({ access }: { readonly access: Access }) {
  const { t, time } = useText()
  const { about, info, ended } = useSession()
  const [state, setState] = useState<State>({ at: 'idle' })
  const stop = useRef<AbortController>(undefined)
  useEffect(() => () => stop.current?.abort(), [])
  const account = info?.account ?? ''
  const ask = useCallback(async () => {
    const c = new AbortController()
    stop.current = c
    setState({ at: 'asking' })
    try {
      const [list, members] = await Promise.all([whichRecords(about, account, access, c.signal), getJSON<Member[]>('members', c.signal)])
      if (!c.signal.aborted) setState({ at: 'done', list, names: new Map(members.map((m) => [m.account, m.name])) })
    } catch (error) {
      if (c.signal.aborted) return
      if (error instanceof Problem && error.code === 'session') ended()
      else setState({ at: 'failed', error })
    }
  }, [about, account, access, ended])
  return (
    <div aria-live="polite">
      {state.at === 'idle' && <p><Button size="xs" variant="default" onClick={() => void ask()}>{t('looked.which')}</Button> <span className="hint">{t('looked.which.hint')}</span></p>}
      {state.at === 'asking' && <p className="loading">{t('looked.which.asking')}</p>}
      {state.at === 'failed' && (state.error instanceof Problem && state.error.code === 'noList' ? <p className="note">{t('looked.which.none')}</p> : <Failure error={state.error} retry={() => void ask()} />)}
      {state.at === 'done' && (
        <ul className="which">
          {state.list.map((n, i) => {
            const author = n.author === undefined ? '' : accountText(n.author)
            return <li key={i}>{t('looked.which.of', { count: n.count, author: state.names.get(author) ?? author, time: time(n.time) })}</li>
          })}
        </ul>
      )}
    </div>
  )
}
