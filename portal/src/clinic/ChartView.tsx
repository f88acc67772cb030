import { Button } from '@mantine/core'
import { useCallback, useEffect, useRef, useState } from 'react'
import { getJSON, type Member, Problem, remove } from '../app/api'
import { Empty, Failure } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { Declare } from '../staff/Declare'
import { Add } from './Add'
import type { Chosen } from './Clinic'
import { HandOver } from './HandOver'
import { entriesOf, nextOf, read, type Resource, warned } from './fhir'
import { groups, type Line, order } from './line'
import { numberOf } from './purpose'

/** Standing is how the chart's session stands (gateway/portal/desk.go). */
export interface Standing {
  readonly session: string
  readonly height: number
  readonly opened: number
  readonly expires: number
  readonly now: number
  readonly state: 'open' | 'expired' | 'closed' | 'changed'
}

interface Opened {
  readonly lines: readonly (readonly [string, readonly Line[]])[]
  readonly alone: boolean
  readonly standing: Standing | undefined
}

const missing = (err: unknown): undefined => {
  if (err instanceof Problem && err.code !== 'unknown') throw err
  if (!(err instanceof Problem)) throw err
  return undefined
}

/** open reads the whole chart page by page. Where nothing may be seen, and where there is nothing, the answer is the same. */
async function open(reference: string, signal: AbortSignal, progress: (n: number) => void): Promise<Opened> {
  const all: Resource[] = []
  let alone = false
  const pages = async (first: string) => {
    let path: string | undefined = first
    while (path !== undefined) {
      const { body }: { body: Resource } = await read(path, reference, signal)
      all.push(...entriesOf(body))
      alone ||= warned(body)
      progress(all.length)
      path = nextOf(body)
    }
  }
  try {
    await pages(`${reference}/$everything?_count=200`)
  } catch (err) {
    if (!(err instanceof Problem) || !['not-found', 'rest-not-found', 'rest-unknown', '404'].includes(err.code)) throw err
    // No Patient resource may be seen, so there is no compartment; what this organisation wrote about her is there all the same.
    await pages(`?_type=${order.join(',')}&patient=${encodeURIComponent(reference)}&_count=200`)
  }
  const standing = await getJSON<Standing>(`chart?patient=${encodeURIComponent(reference)}`, signal).catch(missing)
  return { lines: groups(all), alone, standing }
}

/** ChartView is one patient's chart while its session lasts. When that ends, what it had opened goes. */
export function ChartView({ chosen, purpose, back }: { readonly chosen: Chosen; readonly purpose: string; readonly back: () => void }) {
  const text = useText()
  const { t } = text
  const { ended } = useSession()
  const [turn, setTurn] = useState(0)
  const [count, setCount] = useState(0)
  const [got, setGot] = useState<Opened>()
  const [error, setError] = useState<unknown>()
  const [why, setWhy] = useState<Standing['state']>()
  const stop = useRef<AbortController>(undefined)
  useEffect(() => {
    const c = new AbortController()
    stop.current = c
    open(chosen.reference, c.signal, setCount).then(
      (o) => {
        if (!c.signal.aborted) setGot(o)
      },
      (err: unknown) => {
        if (c.signal.aborted) return
        if (err instanceof Problem && err.code === 'session') ended()
        else setError(err)
      },
    )
    return () => c.abort()
  }, [chosen.reference, turn, ended])
  const again = useCallback(() => {
    setGot(undefined)
    setError(undefined)
    setWhy(undefined)
    setCount(0)
    setTurn((n) => n + 1)
  }, [])
  const over = useCallback((state: Standing['state']) => {
    setGot(undefined)
    setWhy(state)
  }, [])
  const close = async () => {
    const id = got?.standing?.session
    over('closed')
    if (id !== undefined) await remove(`chart/${id}`).catch(setError)
  }
  return (
    <>
      <Heading title={t('clinic.chart', { name: chosen.name })} {...(purpose === '' ? {} : { lead: t('clinic.chart.lead', { purpose: text.purpose(numberOf(purpose)) }) })} />
      <p><Button variant="default" size="xs" onClick={back}>{t('clinic.back')}</Button></p>
      {error !== undefined && <Failure error={error} retry={again} />}
      {why !== undefined && why !== 'open' && (
        <div className="note" role="alert">
          <p>{t(`clinic.ended.${why}` as Key)}</p>
          <Button onClick={again}>{t('clinic.session.asked')}</Button>
        </div>
      )}
      {got === undefined && error === undefined && why === undefined && (
        <div className="note" role="status">
          <p>{t('clinic.chart.progress', { count })}</p>
          <progress aria-label={t('app.loading')} />
          <Button variant="default" size="xs" onClick={() => { stop.current?.abort(); back() }}>{t('clinic.cancel')}</Button>
        </div>
      )}
      {got !== undefined && (
        <>
          {got.standing === undefined ? <p className="note">{t('clinic.session.none')}</p> : <Session standing={got.standing} over={over} close={() => void close()} />}
          {got.alone && <p className="note note-bad" role="status">{t('clinic.chart.network')}</p>}
          {got.lines.length === 0 && <Empty title={t('clinic.chart.empty')}>{t('clinic.chart.empty.do')}</Empty>}
          <Lines lines={got.lines} />
          <Declare reference={chosen.reference} purpose={purpose} opened={got.standing !== undefined} done={again} />
          <Add patient={chosen.reference} added={() => setTurn((n) => n + 1)} />
          <HandOver reference={chosen.reference} />
        </>
      )}
    </>
  )
}

/** Session shows the time that is left, and asks the ledger whether the session still stands. Only its end is announced. */
function Session({ standing, over, close }: { readonly standing: Standing; readonly over: (state: Standing['state']) => void; readonly close: () => void }) {
  const { t } = useText()
  const [left, setLeft] = useState(standing.expires - standing.now)
  useEffect(() => {
    const from = Date.now()
    const tick = window.setInterval(() => {
      const l = standing.expires - standing.now - Math.floor((Date.now() - from) / 1000)
      setLeft(Math.max(0, l))
      if (l <= 0) over('expired')
    }, 1000)
    const stop = new AbortController()
    const ask = window.setInterval(() => {
      getJSON<Standing>(`chart/${standing.session}`, stop.signal).then((s) => {
        if (s.state !== 'open') over(s.state)
      }, () => undefined)
    }, 3000)
    return () => {
      window.clearInterval(tick)
      window.clearInterval(ask)
      stop.abort()
    }
  }, [standing, over])
  const two = (n: number) => String(n).padStart(2, '0')
  return (
    <section className="note clinic-session" aria-label={t('clinic.session.opened', { height: standing.height })}>
      <span className="left">{t('clinic.session.left', { time: `${Math.floor(left / 60)}:${two(left % 60)}` })}</span>
      <span>{t('clinic.session.opened', { height: standing.height })}</span>
      <Button className="end" size="xs" variant="default" onClick={close}>{t('clinic.session.close')}</Button>
    </section>
  )
}

function Lines({ lines }: { readonly lines: Opened['lines'] }) {
  const { t } = useText()
  const [names, setNames] = useState<ReadonlyMap<string, string>>(new Map())
  useEffect(() => {
    getJSON<Member[]>('members').then((m) => setNames(new Map(m.map((x) => [x.account.toLowerCase(), x.name]))), () => undefined)
  }, [])
  const title = (type: string) => ((order as readonly string[]).includes(type) ? t(`clinic.kind.${type}` as Key) : type)
  return lines.map(([type, list]) => (
    <section key={type} aria-label={title(type)}>
      <h2>{title(type)}</h2>
      <ul className="lines">
        {list.map((l, i) => (
          <li key={`${l.key}-${i}`}>
            <div className="line-top"><strong>{l.text || l.type}</strong><time>{l.date.slice(0, 10)}</time></div>
            {l.detail !== '' && <p className="clinic-detail">{l.detail}</p>}
            <div className="facts">
              {l.author !== '' && <span>{t('clinic.from', { name: names.get(l.author.toLowerCase()) ?? l.author })}</span>}
              {l.labels.length > 0 && <span className="clinic-label">{t('clinic.label', { labels: l.labels.join(', ') })}</span>}
            </div>
          </li>
        ))}
      </ul>
    </section>
  ))
}
