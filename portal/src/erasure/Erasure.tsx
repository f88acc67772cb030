import { Button, Checkbox } from '@mantine/core'
import { useCallback, useState } from 'react'
import { decodeAny, equal, erasureHoldsSchema, hex, isZero, parseAccount } from '../core'
import { getBytes, getJSON, type Member, Problem } from '../app/api'
import { Empty, Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { submit } from '../app/sign'
import { useText } from '../app/text/text'
import { Progress, useAct } from '../grants/Act'
import { checkLog } from '../looked/check'
import { keeper } from '../looked/keep'
import { useNews } from '../looked/news'
import { Case, caseOf, type Standing } from './Case'

type Holds = ReturnType<(typeof erasureHoldsSchema)['zero']>['holds']
interface Found {
  readonly cases: readonly Standing[]
  readonly holds: Holds
  readonly names: ReadonlyMap<string, string>
}

/** found reads the cases that a verified log names; those of a log that does not verify are not asked for. */
async function found(account: string, signal: AbortSignal): Promise<Found> {
  const [genesis, receipt, members, holds] = await Promise.all([getBytes('genesis', signal), getBytes('receipts/log', signal), getJSON<Member[]>('members', signal), getBytes('query/erasure/holds?arg=', signal)])
  const verdict = await checkLog({ genesis, receipt, account: parseAccount(account), accountText: account, header: (h) => getBytes(`headers/${h}`, signal) }, keeper)
  if (!verdict.ok) throw new Problem('other', `portal: the log does not verify (${verdict.code})`)
  const ids = [...new Set(verdict.links.filter((l) => l.record.action >= 19 && l.record.action <= 21).map((l) => hex(l.record.ref)))].reverse()
  const cases = await Promise.all(ids.map((id) => caseOf(id, signal)))
  return { cases: cases.filter((c) => c !== undefined), holds: decodeAny(erasureHoldsSchema, holds, 1 << 20).holds, names: new Map(members.map((m) => [m.account, m.name])) }
}

/** Erasure is where a patient asks that her record ceases to be, and sees what became of it. */
export function Erasure() {
  const { t } = useText()
  const { info } = useSession()
  const account = info?.account ?? ''
  const { count } = useNews(account)
  const fetch = useCallback((signal: AbortSignal) => {
    void count // each step of a case is an entry
    return found(account, signal)
  }, [account, count])
  return (
    <>
      <Heading title={t('era.title')} lead={t('era.lead')} />
      <Load fetch={fetch} every={15}>{(f) => (
        <>
          <Cases f={f} account={account} />
          <Ask account={account} over={f.cases.some((c) => c.of.scope === 3 && c.of.status !== 5)} />
        </>
      )}</Load>
    </>
  )
}

function Cases({ f, account }: { readonly f: Found; readonly account: string }) {
  const { t, time } = useText()
  const own = parseAccount(account)
  const hers = f.holds.filter((h) => equal(h.patient, own))
  const batches = f.holds.filter((h) => isZero(h.patient)).length
  return (
    <>
      {f.cases.length === 0 ? <Empty title={t('era.none')}>{t('era.none.do')}</Empty> : <ul className="lines" aria-label={t('era.title')}>{f.cases.map((c) => <Case key={hex(c.of.id)} c={c} names={f.names} />)}</ul>}
      <h2>{t('era.holds')}</h2>
      {hers.length === 0 ? <p>{t('era.hold.none')}</p> : hers.map((h) => <p key={hex(h.matter)} className="note">{t('era.hold.you', { time: time(h.since) })}</p>)}
      {batches > 0 && <p className="hint">{t('era.hold.batches', { count: batches })}</p>}
    </>
  )
}

function Ask({ account, over }: { readonly account: string; readonly over: boolean }) {
  const { t } = useText()
  const { about } = useSession()
  const [sure, setSure] = useState(false)
  const act = useAct()
  const ask = () => act.run(async (step, signal) => {
    setSure(false)
    const none = new Uint8Array(32)
    const c = await submit(about, account, 'erasure.request', { patient: parseAccount(account), scope: 3, batch: none, leaf: none, ground: none }, step, signal)
    return t('era.ask.done', { height: c.height })
  })
  return (
    <section aria-labelledby="ask">
      <h2 id="ask">{t('era.ask')}</h2>
      <Progress act={act} />
      {over ? <p className="hint">{t('era.ask.over')}</p> : <div className="card">
        <p>{t('era.ask.what')} {t('era.not')}</p>
        <p><a href="#/patient/record">{t('era.save')}</a></p>
        <Checkbox label={t('era.ask.sure')} checked={sure} onChange={(e) => setSure(e.currentTarget.checked)} />
        <div className="buttons"><Button color="red" variant="default" disabled={!sure || act.busy} onClick={ask}>{t('era.ask.sign')}</Button></div>
      </div>}
    </section>
  )
}
