import './looked.css'
import { Button } from '@mantine/core'
import { useCallback } from 'react'
import { parseAccount } from '../core'
import { getBytes, getJSON, type Member } from '../app/api'
import { Empty, Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { useText } from '../app/text/text'
import { Notice } from '../recovery/Notice'
import { Flagged } from './Flagged'
import { type Flags, flagsOf } from './flags'
import { checkLog, type Verdict } from './check'
import { keeper } from './keep'
import { unread, useNews } from './news'
import { lineOf } from './sentence'

interface Found {
  readonly verdict: Verdict
  readonly names: ReadonlyMap<string, string>
  readonly flags: Flags
}

/** How many entries are listed; the log has all. */
const shown = 50

/** News lists what happened: accesses, consents, keys, the unread ones marked. */
export function News() {
  const { t } = useText()
  const { info } = useSession()
  const account = info?.account ?? ''
  const news = useNews(account)
  const { count } = news
  const fetch = useCallback(async (signal: AbortSignal): Promise<Found> => {
    void count // a longer log is fetched
    const [genesis, receipt, members] = await Promise.all([getBytes('genesis', signal), getBytes('receipts/log', signal), getJSON<Member[]>('members', signal)])
    const verdict = await checkLog({ genesis, receipt, account: parseAccount(account), accountText: account, header: (h) => getBytes(`headers/${h}`, signal) }, keeper)
    return { verdict, names: new Map(members.map((m) => [m.account, m.name])), flags: verdict.ok ? await flagsOf(verdict.links, signal) : new Map() }
  }, [account, count])
  return (
    <>
      <Heading title={t('news.title')} lead={t('news.lead')} />
      <Load fetch={fetch}>{(found) => <List found={found} seen={news.seen} mark={news.markSeen} />}</Load>
    </>
  )
}

function List({ found, seen, mark }: { readonly found: Found; readonly seen: bigint; readonly mark: (n: bigint) => void }) {
  const text = useText()
  const { t, time } = text
  const { verdict, names, flags } = found
  if (!verdict.ok) return <div className="note note-bad" role="alert"><strong>{t('looked.bad', { code: verdict.code })}</strong><p>{t(`looked.fault.${verdict.fault}`, { seq: verdict.seq })}</p></div>
  const lines = verdict.links.map((l) => lineOf(l, names, text)).reverse()
  const newest = lines[0]?.seq ?? 0n
  if (lines.length === 0) return <Empty title={t('looked.empty')}>{t('looked.empty.do')}</Empty>
  return (
    <>
      <p role="status">{t('news.unread', { count: unread(newest, seen) })}</p>
      {newest > seen && <div className="buttons"><Button variant="default" onClick={() => mark(newest)}>{t('news.mark')}</Button></div>}
      <ol className="lines" aria-label={t('news.title')}>
        {lines.slice(0, shown).map((l) => (
          <li key={String(l.seq)} className={l.seq > seen ? 'unread' : undefined}>
            <div className="line-top">
              {l.seq > seen ? <strong><span className="mark">{t('news.new')}</span> {l.sentence}</strong> : <span>{l.sentence}</span>}
              <time dateTime={new Date(Number(l.time) * 1000).toISOString()}>{time(l.time)}</time>
            </div>
            <Flagged line={l} flags={flags} />
          </li>
        ))}
      </ol>
      <p><a href="#/patient/looked">{t('news.all')}</a></p>
    </>
  )
}

/** NewsBar says over every view of a patient what runs against her keys, and, but for the view of news, that something is new. */
export function NewsBar({ account, quiet }: { readonly account: string; readonly quiet: boolean }) {
  const { t } = useText()
  const { count, seen } = useNews(account)
  const n = unread(count, seen)
  return <><Notice account={account} count={count} /><div aria-live="polite">{n > 0 && !quiet && <p className="note newsbar">{t('news.bar', { count: n })} <a href="#/patient/news">{t('news.see')}</a></p>}</div></>
}
