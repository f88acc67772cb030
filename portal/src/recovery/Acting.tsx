import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useMemo, useState } from 'react'
import { parseHash } from '../core'
import { isAccount } from '../app/account'
import { getJSON, Problem } from '../app/api'
import { Failure } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { submit } from '../app/sign'
import type { Whose } from '../app/sitting'
import { useText } from '../app/text/text'
import { Progress, useAct } from '../grants/Act'
import { Opener } from '../record/Record'

/** Named is what somebody may do in a patient's place, as gateway/portal/death.go tells her. */
interface Named {
  readonly state: 'none' | 'gathering' | 'waiting' | 'acting' | 'finished' | 'cancelled' | 'lapsed'
  readonly case: string
  /** unix seconds, as the others */
  readonly from: number
  readonly until: number
  readonly now: number
  readonly executor: boolean
  readonly purposes: readonly string[] | null
}

/** What is asked for first, where somebody may do several. */
const purposes: readonly (readonly [code: string, number: number])[] = [['PWATRNY', 17], ['FAMRQT', 16], ['SUPNWK', 21], ['PATRQT', 15]]

/** ActFor is where a proxy or an executor sees how far she is, and reads what she may. */
export function ActFor() {
  const { t, time } = useText()
  const { about, info, ended } = useSession()
  const account = info?.account ?? ''
  const [typed, setTyped] = useState('')
  const [found, setFound] = useState<{ readonly patient: string; readonly named: Named }>()
  const [error, setError] = useState<unknown>()
  const act = useAct()
  const patient = typed.trim()
  const look = (who: string) => {
    setError(undefined)
    setFound(undefined)
    getJSON<Named>(`acting/${who}`).then((named) => setFound({ patient: who, named }), (err: unknown) => {
      if (err instanceof Problem && err.code === 'session') ended()
      else setError(err)
    })
  }
  const finish = (who: string, id: string) => act.run(async (step, signal) => {
    const c = await submit(about, account, 'recovery.finish', { case: parseHash(id) }, step, signal)
    look(who)
    return t('duty.death.finished', { height: c.height })
  })
  const purpose = purposes.find(([code]) => found?.named.purposes?.includes(code))?.[1]
  const of = found?.named.state === 'acting' ? found.patient : undefined
  const whose = useMemo<Whose | undefined>(() => (of === undefined || purpose === undefined ? undefined : { patient: of, purpose }), [of, purpose])
  return (
    <>
      <Heading title={t('acting.title')} lead={t('acting.lead')} />
      <Progress act={act} />
      <form className="card" onSubmit={(e: FormEvent) => {
        e.preventDefault()
        if (isAccount(patient)) look(patient)
      }}>
        <TextInput label={t('acting.who')} value={typed} spellCheck={false} onChange={(e) => setTyped(e.currentTarget.value)} error={patient !== '' && !isAccount(patient) ? t('acting.who.bad') : undefined} />
        <div className="buttons"><Button type="submit" disabled={!isAccount(patient)}>{t('acting.look')}</Button></div>
      </form>
      {error !== undefined && <Failure error={error} />}
      {found !== undefined && (
        <section aria-live="polite">
          {found.named.state === 'acting' ? (
            <p className="note note-good">{t(found.named.executor ? 'acting.executor' : 'acting.proxy')} {t(found.named.until === 0 ? 'acting.open.end' : 'acting.until', { time: time(found.named.until) })}</p>
          ) : found.named.state === 'gathering' ? <p className="note">{t('acting.gathering')}</p>
            : found.named.state === 'waiting' ? (
              <div className="note">
                <p>{t(found.named.from > found.named.now ? 'acting.waiting' : 'acting.ready', { time: time(found.named.from) })}</p>
                <div className="buttons">
                  {found.named.from <= found.named.now && <Button disabled={act.busy} onClick={() => finish(found.patient, found.named.case)}>{t('duty.death.finish')}</Button>}
                  <Button variant="default" onClick={() => look(found.patient)}>{t('acting.look')}</Button>
                </div>
              </div>
            ) : <p className="note">{t('acting.none')}</p>}
          {whose !== undefined && <Opener key={whose.patient} whose={whose} />}
        </section>
      )}
    </>
  )
}
