import { Button } from '@mantine/core'
import { useCallback, useState } from 'react'
import { accountText, type EmergencyCase, hex, isZero, type Link } from '../core'
import type { Key } from '../app/text/en'
import { Load } from '../app/part/load'
import { useSession } from '../app/session'
import { submit } from '../app/sign'
import { useText } from '../app/text/text'
import { Progress, useAct } from '../grants/Act'
import { emergenciesIn, type Flag, type Flags } from '../looked/flags'
import { emergencyOf } from './case'

/** Emergencies stand at the top of the log: who, why, until when, how far, and what is owed for it. links are verified. */
export function Emergencies({ links, names, flags }: { readonly links: readonly Link[]; readonly names: ReadonlyMap<string, string>; readonly flags: Flags }) {
  const { t } = useText()
  const [turn, setTurn] = useState(0)
  const act = useAct()
  const { about, info } = useSession()
  const account = info?.account ?? ''
  const ids = emergenciesIn(links).map(hex).join()
  const steps = links.filter((l) => l.record.action >= 10 && l.record.action <= 17).length
  const fetch = useCallback(async (signal: AbortSignal) => {
    void [turn, steps] // each step of a case is an entry
    const all = await Promise.all(ids.split(',').map((id) => emergencyOf(Uint8Array.from(id.match(/../g) ?? [], (b) => parseInt(b, 16)), signal)))
    return all
  }, [ids, turn, steps])
  const dispute = (k: EmergencyCase) => act.run(async (step, signal) => {
    const c = await submit(about, account, 'emergency.dispute', { case: k.id }, step, signal)
    setTurn((n) => n + 1)
    return t('eme.disputed.done', { height: c.height })
  })
  const close = (k: EmergencyCase) => act.run(async (step, signal) => {
    const c = await submit(about, account, 'access.close', { session: k.id }, step, signal)
    setTurn((n) => n + 1)
    return t('eme.closed', { height: c.height })
  })
  return (
    <>
      <Progress act={act} />
      <Load fetch={fetch}>
        {(all) => {
          const now = BigInt(Math.floor(Date.now() / 1000))
          const running = all.some((k) => k.until > now)
          return (
            <section className={running ? 'note note-bad' : 'note'} aria-labelledby="emergencies">
              <h2 id="emergencies">{t(running ? 'eme.now' : 'eme.now.ended')}</h2>
              <ul className="lines">
                {all.map((k) => <One key={hex(k.id)} k={k} flags={flags.get(hex(k.id)) ?? []} names={names} now={now} busy={act.busy} dispute={() => dispute(k)} close={() => close(k)} />)}
              </ul>
            </section>
          )
        }}
      </Load>
    </>
  )
}

interface OneProps {
  readonly k: EmergencyCase
  readonly flags: readonly Flag[]
  readonly names: ReadonlyMap<string, string>
  readonly now: bigint
  readonly busy: boolean
  dispute(): void
  close(): void
}

function One({ k, flags, names, now, busy, dispute, close }: OneProps) {
  const { t, time } = useText()
  const member = accountText(k.member)
  const who = t('looked.someone', { member: names.get(member) ?? member, id: accountText(k.actor).slice(-6) })
  const running = k.until > now
  return (
    <li>
      <strong>{t('eme.declared', { who, reason: t(`looked.reason.${k.reason >= 1 && k.reason <= 5 ? k.reason : 0}` as Key) })}</strong>
      <div className="facts">
        <span>{t('eme.declared.at', { time: time(k.declared) })}</span>
        <span>{t(running ? 'eme.running' : 'eme.over', { time: time(k.until) })}</span>
        <span>{k.widened === 0n ? t('eme.first') : t('eme.widened', { time: time(k.widened) })}</span>
        {!isZero(k.extender) && <span>{t('eme.extended')}</span>}
        <Owed k={k} now={now} />
        {k.disputed !== 0n && <span>{t('eme.disputed', { time: time(k.disputed) })}</span>}
      </div>
      {flags.length > 0 && <p>{t('eme.flag')} {flags.map((f) => t(`eme.flag.${f}`)).join(' ')}</p>}
      {k.overdue !== 0 && <p className="hint">{t('eme.suspended')}</p>}
      <div className="buttons">
        {running && <Button size="xs" variant="default" disabled={busy} onClick={close}>{t('eme.close')}</Button>}
        {k.disputed === 0n && <Button size="xs" variant="default" disabled={busy} onClick={dispute}>{t('eme.dispute')}</Button>}
      </div>
      {k.disputed === 0n && <p className="hint">{t('eme.dispute.hint')}</p>}
    </li>
  )
}

/** Owed says what was answered for, and what is due. */
export function Owed({ k, now }: { readonly k: Pick<EmergencyCase, 'attested' | 'attestBy' | 'reviewed' | 'reviewBy' | 'verdict' | 'overdue'>; readonly now: bigint }) {
  const { t, time } = useText()
  const late = (bit: number, by: bigint) => (k.overdue & bit) !== 0 || by <= now
  const attest = k.attested !== 0n ? t('eme.attested', { time: time(k.attested) }) : k.reviewed !== 0n ? '' : t(late(1, k.attestBy) ? 'eme.attest.overdue' : 'eme.attest.due', { time: time(k.attestBy) })
  const review = k.reviewed !== 0n ? t('eme.reviewed', { time: time(k.reviewed), verdict: t(`eme.verdict.${k.verdict}` as Key) }) : t(late(2, k.reviewBy) ? 'eme.review.overdue' : 'eme.review.due', { time: time(k.reviewBy) })
  return <>{attest !== '' && <span>{attest}</span>}<span>{review}</span></>
}
