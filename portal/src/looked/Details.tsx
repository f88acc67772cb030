import { useCallback, useMemo, useState } from 'react'
import { decodeAny, encode, equal, hex, parseAccount, type Principal, principalSchema, type Session, sessionSchema } from '../core'
import { accountSchema, hashSchema } from '../core/tx/name'
import { struct } from '../core/wire/schema'
import { getBytes, Problem } from '../app/api'
import { Load } from '../app/part/load'
import { useText } from '../app/text/text'
import type { Line } from './sentence'
import { Which } from './Which'

const bySession = struct({ session: [1, hashSchema] })
const byAccount = struct({ account: [1, accountSchema] })

interface About {
  readonly session: Session | undefined
  readonly actor: Principal | undefined
}

const maxAnswer = 1 << 20

/** none turns "there is no such thing" into undefined: a session's row goes when it is old. */
async function none<T>(p: Promise<T>): Promise<T | undefined> {
  try {
    return await p
  } catch (err) {
    if (err instanceof Problem && err.code !== 'session' && err.code !== 'offline') return undefined
    throw err
  }
}

/** Details are fetched when somebody opens them: the session, the consents that allowed it, and what the asking person is registered as. */
export function Details({ line }: { readonly line: Line }) {
  const { t } = useText()
  const [open, setOpen] = useState(false)
  return (
    <details className="more" onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>{t('looked.more')}</summary>
      {open && <Opened line={line} />}
    </details>
  )
}

function Opened({ line }: { readonly line: Line }) {
  const { t, time } = useText()
  const { session, actor, root, count, height } = line
  const named = useMemo(() => (session === undefined || root === undefined ? undefined : { session, root, count, height }), [session, root, count, height])
  const fetch = useCallback(async (signal: AbortSignal): Promise<About> => {
    const [s, a] = await Promise.all([
      session === undefined ? undefined : none(getBytes(`query/access/session?arg=${hex(encode(bySession, { session }))}`, signal)),
      none(getBytes(`query/identity/principal?arg=${hex(encode(byAccount, { account: parseAccount(actor) }))}`, signal)),
    ])
    const read = s === undefined ? undefined : decodeAny(sessionSchema, s, maxAnswer)
    return {
      session: read !== undefined && session !== undefined && equal(read.id, session) ? read : undefined,
      actor: a === undefined ? undefined : decodeAny(principalSchema, a, maxAnswer),
    }
  }, [session, actor])
  return (
    <>
      <p>{t(`looked.why.${line.kinds.includes('refused') ? 'refused' : line.action}` as 'looked.why.1')}</p>
      <Load fetch={fetch}>
        {(a) => (
          <dl className="pairs">
            {a.actor !== undefined && a.actor.roles.length > 0 && <div><dt>{t('looked.more.roles')}</dt><dd>{a.actor.roles.join(', ')}</dd></div>}
            {a.session !== undefined && <div><dt>{t('looked.more.until')}</dt><dd>{time(a.session.expires)}{a.session.closed ? `, ${t('looked.more.closed')}` : ''}</dd></div>}
            {a.session !== undefined && <div><dt>{t('looked.more.consents')}</dt><dd>{a.session.grants.length === 0 ? t('looked.more.noConsent') : a.session.grants.map((g) => <a key={hex(g)} className="mono" href="#/patient/grants">{hex(g).slice(0, 8)}</a>)}</dd></div>}
            {line.consent !== '' && <div><dt>{t('looked.more.consents')}</dt><dd className="mono">{line.consent.slice(0, 8)}</dd></div>}
            <div><dt>{t('looked.more.actor')}</dt><dd className="mono wrap">{line.actor}</dd></div>
            <div><dt>{t('looked.more.tx')}</dt><dd className="mono wrap">{line.tx}</dd></div>
          </dl>
        )}
      </Load>
      {named !== undefined && <Which access={named} />}
      <p className="hint">{t('looked.more.hint')}</p>
    </>
  )
}
