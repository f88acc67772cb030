import './looked.css'
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { lazy, Suspense, useCallback, useMemo, useState } from 'react'
import { type Finding, type Link, parseAccount } from '../core'
import { getBytes, getJSON, type Member } from '../app/api'
import { Empty, Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { useText } from '../app/text/text'
import { checkLog, type Verdict } from './check'
import { csvOf, jsonOf, type Proven, save } from './export'
import { keeper } from './keep'
import { Flagged } from './Flagged'
import { type Flags, flagsOf } from './flags'
import { Details } from './Details'
import { type Filter, kinds, type Line, lineOf, matches } from './sentence'

/** Most logs have no emergency. */
const Emergencies = lazy(async () => ({ default: (await import('../emergency/Emergencies')).Emergencies }))

interface Found {
  readonly verdict: Verdict
  readonly receipt: Uint8Array
  readonly names: ReadonlyMap<string, string>
  readonly flags: Flags
}

/** Looked is "Who looked": the access log, verified here from the genesis on. What does not verify is not shown. */
export function Looked() {
  const { t } = useText()
  const { info } = useSession()
  const account = info?.account ?? ''
  const fetch = useCallback(async (signal: AbortSignal): Promise<Found> => {
    const [genesis, receipt, members] = await Promise.all([getBytes('genesis', signal), getBytes('receipts/log', signal), getJSON<Member[]>('members', signal)])
    const header = (h: bigint) => getBytes(`headers/${h}`, signal)
    const verdict = await checkLog({ genesis, receipt, account: parseAccount(account), accountText: account, header }, keeper)
    return { verdict, receipt, names: new Map(members.map((m) => [m.account, m.name])), flags: verdict.ok ? await flagsOf(verdict.links, signal) : new Map() }
  }, [account])
  return (
    <>
      <Heading title={t('looked.title')} lead={t('looked.lead')} />
      <Load fetch={fetch} every={15}>
        {({ verdict, receipt, names, flags }) => (verdict.ok ? <Log finding={verdict.finding} links={verdict.links} receipt={receipt} names={names} account={account} flags={flags} /> : <Red verdict={verdict} />)}
      </Load>
    </>
  )
}

/** Red says exactly what does not fit, and what to do. */
function Red({ verdict }: { readonly verdict: Verdict & { ok: false } }) {
  const { t } = useText()
  return (
    <div className="note note-bad" role="alert">
      <strong>{t('looked.bad', { code: verdict.code })}</strong>
      <p>{t(`looked.fault.${verdict.fault}`, { seq: verdict.seq })}</p>
      <p>{t('looked.bad.do')}</p>
      {verdict.fault === 'pin' && <Button variant="default" onClick={() => void keeper.clear().then(() => window.location.reload())}>{t('looked.forget')}</Button>}
    </div>
  )
}

interface LogProps {
  readonly finding: Finding
  readonly links: readonly Link[]
  readonly receipt: Uint8Array
  readonly names: ReadonlyMap<string, string>
  readonly account: string
  readonly flags: Flags
}

/** How old the newest signed block may be before the page says so. */
const staleAfter = 15 * 60

function Log({ finding, links, receipt, names, account, flags }: LogProps) {
  const text = useText()
  const { t, time } = text
  const [filter, setFilter] = useState<Filter>({ kind: '', from: '', words: '' })
  const lines = useMemo(() => links.map((l) => lineOf(l, names, text)).reverse(), [links, names, text])
  const shown = lines.filter((l) => matches(l, filter, time))
  const froms = [...new Set(lines.map((l) => l.from))].filter((f) => f !== '').sort()
  const proven: Proven = { chain: finding.chain, height: finding.height, block: finding.hash, account }
  const old = Date.now() / 1000 - Number(finding.time.seconds) > staleAfter
  return (
    <>
      <p className="note note-good">{t('looked.good', { height: finding.height, signed: finding.signed, of: finding.of })}</p>
      {old && <p className="note" role="status">{t('looked.stale', { time: time(finding.time.seconds) })}</p>}
      <details className="how">
        <summary>{t('looked.how')}</summary>
        <p>{t('looked.how.1')}</p>
        <p>{t('looked.how.2')}</p>
        <p>{t('looked.how.3')}</p>
        <p className="mono wrap">{t('looked.how.block', { block: finding.block, hash: finding.hash })}</p>
      </details>
      {links.some((l) => l.record.action === 11) && <Suspense><Emergencies links={links} names={names} flags={flags} /></Suspense>}
      {lines.length === 0 ? <Empty title={t('looked.empty')}>{t('looked.empty.do')}</Empty> : (
        <>
          <search className="filters">
            <NativeSelect label={t('looked.filter.kind')} value={filter.kind} onChange={(e) => setFilter({ ...filter, kind: e.currentTarget.value as Filter['kind'] })}
              data={[{ value: '', label: t('looked.filter.all') }, ...kinds.map((k) => ({ value: k, label: t(`looked.filter.${k}`) }))]} />
            <NativeSelect label={t('looked.filter.from')} value={filter.from} onChange={(e) => setFilter({ ...filter, from: e.currentTarget.value })}
              data={[{ value: '', label: t('looked.filter.everywhere') }, ...froms.map((f) => ({ value: f, label: f }))]} />
            <TextInput type="search" label={t('looked.filter.words')} value={filter.words} onChange={(e) => setFilter({ ...filter, words: e.currentTarget.value })} />
          </search>
          <p role="status" className="hint">{t('looked.shown', { shown: shown.length, of: lines.length })}</p>
          {shown.length > 0 && <ol className="lines" aria-label={t('looked.title')}>{shown.map((l) => <Row key={String(l.seq)} line={l} flags={flags} />)}</ol>}
          <h2>{t('looked.export')}</h2>
          <p className="hint">{t('looked.export.lead')}</p>
          <div className="buttons">
            <Button variant="default" onClick={() => save('access-log.json', 'application/json', jsonOf(shown, proven))}>JSON</Button>
            <Button variant="default" onClick={() => save('access-log.csv', 'text/csv;charset=utf-8', csvOf(shown))}>CSV</Button>
            <Button variant="default" onClick={() => window.print()}>{t('looked.export.pdf')}</Button>
            <Button variant="default" onClick={() => save('access-log.receipt', 'application/cbor', new Uint8Array(receipt))}>{t('looked.export.proof')}</Button>
          </div>
        </>
      )}
    </>
  )
}

function Row({ line, flags }: { readonly line: Line; readonly flags: Flags }) {
  const { t, time } = useText()
  return (
    <li>
      <div className="line-top">
        <strong>{line.sentence}</strong>
        <time dateTime={new Date(Number(line.time) * 1000).toISOString()}>{time(line.time)}</time>
      </div>
      <div className="facts">
        {line.kinds.includes('emergency') && <span className="mark mark-bad">{t('looked.mark.emergency')}</span>}
        {line.kinds.includes('refused') && <span className="mark">{t('looked.refused')}</span>}
        {line.from !== '' && <span>{t('looked.from')}: {line.from}</span>}
        {line.why !== '' && <span>{t('looked.purpose')}: {line.why}</span>}
        {line.count > 0 && <span>{t('looked.records', { count: line.count })}</span>}
        <span>{t('looked.block')} {String(line.height)}</span>
      </div>
      <Flagged line={line} flags={flags} />
      <Details line={line} />
    </li>
  )
}
