import { Button } from '@mantine/core'
import { useEffect, useState } from 'react'
import { accountText, hex, isZero, type RecoveryCase, type RecoveryPatient } from '../core'
import { getJSON, type Member, Problem } from '../app/api'
import { useSession } from '../app/session'
import { submit } from '../app/sign'
import { useText } from '../app/text/text'
import { Progress, useAct } from '../grants/Act'
import { recoveryOf } from './status'

/** How often what runs is asked for anew beside the news of the log, in milliseconds: a time lock ends without an entry. */
const every = 30_000

/**
 * Notice stands above every view of a patient while somebody asks for her keys, records her death or names an
 * executor. One touch stops it. count is the length of her log: each step of a case is an entry there.
 */
export function Notice({ account, count }: { readonly account: string; readonly count: bigint }) {
  const { t } = useText()
  const { about, ended } = useSession()
  const [found, setFound] = useState<RecoveryPatient>()
  const [names, setNames] = useState<ReadonlyMap<string, string>>(new Map())
  const [failed, setFailed] = useState(false)
  const [turn, setTurn] = useState(0)
  const act = useAct()
  const committed = act.state.at === 'done'
  const running = (found?.running.length ?? 0) > 0
  useEffect(() => {
    const stop = new AbortController()
    void [count, turn, committed]
    recoveryOf(account, stop.signal).then(
      (s) => {
        setFound(s)
        setFailed(false)
      },
      (err: unknown) => {
        if (stop.signal.aborted) return
        if (err instanceof Problem && err.code === 'session') ended()
        else setFailed(true)
      },
    )
    return () => stop.abort()
  }, [account, count, turn, committed, ended])
  useEffect(() => {
    if (!running) return
    const stop = new AbortController()
    getJSON<Member[]>('members', stop.signal).then((all) => setNames(new Map(all.map((m) => [m.account, m.name]))), () => undefined)
    const timer = window.setInterval(() => setTurn((n) => n + 1), every)
    return () => {
      stop.abort()
      window.clearInterval(timer)
    }
  }, [running])
  const cancel = (k: RecoveryCase) => act.run(async (step, signal) => {
    const c = await submit(about, account, 'recovery.cancel', { case: k.id }, step, signal)
    return t('rec.stopped', { height: c.height })
  })
  return (
    <div aria-live="polite">
      {failed && found === undefined && <p className="note note-bad">{t('rec.notice.failed')}</p>}
      {found?.running.map((k) => <Running key={hex(k.id)} case={k} names={names} busy={act.busy} cancel={() => cancel(k)} />)}
      <Progress act={act} />
    </div>
  )
}

function Running({ case: k, names, busy, cancel }: { readonly case: RecoveryCase; readonly names: ReadonlyMap<string, string>; readonly busy: boolean; readonly cancel: () => void }) {
  const { t, time } = useText()
  const kind = k.terms.kind as 1 | 2 | 3 | 4
  const member = accountText(k.member)
  const over = BigInt(Math.floor(Date.now() / 1000)) >= k.from
  return (
    <section className="note note-bad" aria-label={t(`rec.notice.${kind}`)}>
      <strong>{t(`rec.notice.${kind}`)}</strong>
      <p>
        {k.status === 1 ? t('rec.notice.gathering', { have: k.approvals.length, need: k.needed }) : t(over ? 'rec.notice.ready' : 'rec.notice.waiting', { time: time(k.from) })}
        {' '}{isZero(k.member) ? t('rec.notice.guardians') : t('rec.notice.staff', { member: names.get(member) ?? member })}
        {kind === 1 && ` ${t('rec.notice.lock')}`} {t('rec.notice.not')}
      </p>
      <Button variant="default" disabled={busy} onClick={cancel}>{t('rec.stop')}</Button>
    </section>
  )
}
