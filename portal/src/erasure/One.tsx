import { Button, Checkbox } from '@mantine/core'
import { useCallback, useState } from 'react'
import { decodeAny, equal, erasureHoldsSchema, hex, isZero, paramsSchema, parseAccount } from '../core'
import { getBytes } from '../app/api'
import { Load } from '../app/part/load'
import { useSession } from '../app/session'
import { submit } from '../app/sign'
import { useText } from '../app/text/text'
import { Progress, useAct } from '../grants/Act'
import { useNews } from '../looked/news'
import type { Item, Target } from '../record/model/item.ts'
import { useTitle } from '../record/views/parts'
import { Case, caseOf, over } from './Case'
import { targetsIn } from './targets'

/** Asked is a case that was asked for here: its id, and what it erases. */
interface Asked {
  readonly id: string
  readonly target: Target
}

/** Against is what would refuse it, as far as the ledger shows: until when it is retained, and whether it is held. */
interface Against {
  readonly until: number
  readonly held: boolean
}

const none = new Uint8Array(32)
const maxAnswer = 1 << 20
const followEvery = 3

async function against(item: Item, account: string, signal: AbortSignal): Promise<Against> {
  const [params, holds] = await Promise.all([getBytes('query/governance/params?arg=', signal), getBytes('query/erasure/holds?arg=', signal)])
  const period = Number(decodeAny(paramsSchema, params, maxAnswer).retentionPeriod)
  const all = decodeAny(erasureHoldsSchema, holds, maxAnswer).holds
  const batches = targetsIn(item).map((x) => x.batch)
  return {
    until: Math.max(...[item.source, ...item.older].map((s) => s.time)) + period,
    held: all.some((h) => (isZero(h.patient) ? batches.some((b) => equal(b, h.batch)) : equal(h.patient, parseAccount(account)))),
  }
}

/** EraseOne says what erasing a record does, has the passkey ask for it, and follows it to its certificate. back is told whether anything was asked. */
export function EraseOne({ item, names, back }: { readonly item: Item; readonly names: ReadonlyMap<string, string>; back(asked: boolean): void }) {
  const { t, time } = useText()
  const title = useTitle()(item)
  const { about, info } = useSession()
  const account = info?.account ?? ''
  const [sure, setSure] = useState(false)
  const [asked, setAsked] = useState<readonly Asked[]>([])
  const act = useAct()
  const fetch = useCallback((signal: AbortSignal) => against(item, account, signal), [item, account])
  const targets = targetsIn(item)
  const left = targets.filter((x) => !asked.some((a) => a.target === x))
  const ask = () => act.run(async (step, signal) => {
    setSure(false)
    let height = 0
    for (const target of left) {
      const c = await submit(about, account, 'erasure.request', { patient: parseAccount(account), scope: 1, batch: target.batch, leaf: target.leaf, ground: none }, step, signal)
      setAsked((all) => [...all, { id: c.id, target }])
      height = c.height
    }
    return t('era.ask.done', { height })
  })
  const author = names.get(item.source.author) ?? item.source.author
  return (
    <section aria-labelledby="erase-one">
      <h2 id="erase-one">{t('era.one', { title })}</h2>
      <p className="facts"><span>{item.type}</span><span>{t('record.sealed', { name: author, time: time(item.source.time) })}</span></p>
      <Progress act={act} />
      {asked.length > 0 && <Follow asked={asked} item={item} names={names} title={title} />}
      {left.length > 0 && (
        <Load fetch={fetch}>{(a) => {
          const early = Date.now() / 1000 < a.until
          return (
            <div className="card">
              <ul>
                <li>{t('era.one.who', { author })}</li>
                <li>{t('era.one.gone')}</li>
                {item.older.length > 0 && <li>{t('era.one.older', { count: item.older.length })}</li>}
                <li>{t('era.one.index')}</li>
                <li>{t('era.one.shows')}</li>
                <li>{t('era.not')}</li>
                <li>{t('era.one.against')}</li>
              </ul>
              {a.held && <p className="note note-bad">{t('era.one.held')}</p>}
              {early && <p className="note note-bad">{t('era.one.retained', { time: time(a.until) })}</p>}
              {!a.held && !early && (
                <>
                  <p className="hint">{t('era.one.times', { count: left.length })}</p>
                  <Checkbox label={t('era.ask.sure')} checked={sure} onChange={(e) => setSure(e.currentTarget.checked)} />
                  <div className="buttons"><Button color="red" variant="default" disabled={!sure || act.busy} onClick={ask}>{t('era.one.sign')}</Button></div>
                </>
              )}
            </div>
          )
        }}</Load>
      )}
      <p><Button variant="default" disabled={act.busy} onClick={() => back(asked.length > 0)}>{t('era.one.back')}</Button></p>
    </section>
  )
}

/** Follow shows how what was asked for stands, until nothing of it changes any more. */
function Follow({ asked, item, names, title }: { readonly asked: readonly Asked[]; readonly item: Item; readonly names: ReadonlyMap<string, string>; readonly title: string }) {
  const { t } = useText()
  const { info } = useSession()
  const { count } = useNews(info?.account ?? '')
  const [ended, setEnded] = useState(0)
  const fetch = useCallback(async (signal: AbortSignal) => {
    void count // decisions are entries of the log; receipts are not
    const cases = await Promise.all(asked.map((a) => caseOf(a.id, signal)))
    setEnded(cases.filter((c) => c !== undefined && over(c)).length)
    return cases
  }, [asked, count])
  const own = [item.source, ...item.older].map((s) => s.targets?.[0])
  const label = (x: Target | undefined) => (own.some((o) => o !== undefined && x !== undefined && equal(o.leaf, x.leaf)) ? title : t('era.one.contents'))
  return (
    <Load fetch={fetch} {...(ended < asked.length ? { every: followEvery } : {})}>{(cases) => (
      <ul className="lines" aria-label={t('era.title')}>
        {cases.map((c, i) => c !== undefined && <Case key={hex(c.of.id)} c={c} names={names} what={label(asked[i]?.target)} />)}
      </ul>
    )}</Load>
  )
}
