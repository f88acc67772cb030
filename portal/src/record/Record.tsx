import './record.css'
import { Button, Progress } from '@mantine/core'
import { type ComponentType, lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { Problem } from '../app/api'
import { Empty, Failure } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import type { Whose } from '../app/sitting'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { useStanding } from '../app/shell/Standing'
import { type Loaded, loadRecord, type Step } from './load'
import { buildChart, type Chart } from './model/chart.ts'
import { loadOwn } from './own'
import { Documents } from './views/Documents'
import { Download } from './views/Download'
import { Find } from './views/Find'
import { Allergies, Immunizations, Medications, Problems } from './views/lists'
import type { Item } from './model/item.ts'
import { Erasing, type Names } from './views/parts'
import { Results } from './views/Results'
import { SummaryView } from './views/SummaryView'
import { Timeline } from './views/Timeline'

/** EraseOne comes when somebody wants a record to be no more. */
const EraseOne = lazy(async () => ({ default: (await import('../erasure/One')).EraseOne }))

type State =
  | { readonly at: 'closed'; readonly note?: Key }
  | { readonly at: 'opening'; readonly step: Step }
  | { readonly at: 'open'; readonly loaded: Loaded }
  | { readonly at: 'failed'; readonly error: unknown }

/** Record is "My record": closed until it is asked for, then all of it in this component's state, which ends with it. */
export function Record() {
  return <Opener />
}

/** Opener opens one's own record, or that of somebody in whose place one acts. */
export function Opener({ whose }: { readonly whose?: Whose }) {
  const { t } = useText()
  const { about, info, sittings, ended } = useSession()
  const [state, setState] = useState<State>({ at: 'closed' })
  const stop = useRef<AbortController>(null)
  useEffect(() => () => stop.current?.abort(), [])
  const account = info?.account ?? ''
  const still = useStanding() !== undefined
  const open = useCallback(async (own = false) => {
    const c = new AbortController()
    stop.current?.abort()
    stop.current = c
    const tell = (step: Step) => {
      if (!c.signal.aborted) setState({ at: 'opening', step })
    }
    tell({ step: own ? 'own' : 'sign', done: 0, of: 1 })
    try {
      const loaded = await (own ? loadOwn(about, c.signal) : loadRecord(about, account, sittings, tell, c.signal, whose))
      if (!c.signal.aborted) setState({ at: 'open', loaded })
    } catch (error) {
      if (c.signal.aborted) return
      if (error instanceof Problem && error.code === 'session') ended()
      else if (error instanceof Problem && error.code === 'ended') setState({ at: 'closed', note: 'record.ended' })
      else if (error instanceof Problem && error.code === 'goes-on') setState({ at: 'closed', note: 'record.own.over' })
      else setState({ at: 'failed', error })
    }
  }, [about, account, sittings, ended, whose])
  const close = (note?: Key) => {
    stop.current?.abort()
    setState(note === undefined ? { at: 'closed' } : { at: 'closed', note })
  }
  return (
    <>
      {whose === undefined && <Heading title={t('record.title')} {...(state.at === 'open' && state.loaded.partial ? {} : { lead: t('record.lead') })} />}
      {state.at === 'closed' && (
        <div className="card">
          {state.note !== undefined && <p role="status">{t(state.note)}</p>}
          <Button onClick={() => void open()}>{t(whose === undefined ? 'record.open' : 'acting.open')}</Button>
          <p className="hint">{t(whose === undefined ? 'record.open.hint' : 'acting.open.hint')}</p>
        </div>
      )}
      {state.at === 'opening' && <Opening step={state.step} cancel={() => close('record.cancelled')} />}
      {state.at === 'failed' && <Failure error={state.error} retry={() => void open()} />}
      {still && whose === undefined && state.at !== 'opening' && !(state.at === 'open' && state.loaded.partial) && (
        <div className="card">
          <p>{t('record.own.lead', { name: about.name })}</p>
          <Button onClick={() => void open(true)}>{t('record.own', { name: about.name })}</Button>
        </div>
      )}
      {state.at === 'open' && <Open loaded={state.loaded} close={() => close()} again={() => void open()} own={whose === undefined} />}
    </>
  )
}

function Opening({ step, cancel }: { readonly step: Step; readonly cancel: () => void }) {
  const { t } = useText()
  const label = t(`record.step.${step.step}`, { done: step.done, of: step.of })
  return (
    <div className="card">
      <p role="status">{label}</p>
      <Progress value={step.of === 0 ? 0 : (100 * step.done) / step.of} aria-label={label} />
      <Button variant="default" onClick={cancel}>{t('record.cancel')}</Button>
    </div>
  )
}

const parts: readonly (readonly [Key, ComponentType<{ chart: Chart; names: Names }>])[] = [
  ['record.timeline', Timeline], ['record.summary', SummaryView], ['record.problems', Problems], ['record.medications', Medications], ['record.allergies', Allergies],
  ['record.immunizations', Immunizations], ['record.results', Results], ['record.documents', Documents], ['record.search', Find], ['record.download', Download],
]

function Open({ loaded, close, again, own }: { readonly loaded: Loaded; readonly close: () => void; readonly again: () => void; readonly own: boolean }) {
  const { t } = useText()
  const { about } = useSession()
  const chart = useMemo(() => buildChart(loaded.sources), [loaded])
  const [at, setAt] = useState<Key>('record.timeline')
  const [erasing, setErasing] = useState<Item>()
  const failed = loaded.sources.filter((s) => s.body === undefined).length
  if (loaded.sources.length === 0 && loaded.partial) return <Empty title={t('record.own.empty', { name: about.name })}>{t('record.own.empty.do')}</Empty>
  if (loaded.sources.length === 0) return <Empty title={t('record.empty')}>{t(own ? 'record.empty.do' : 'acting.empty')}</Empty>
  if (erasing !== undefined) {
    return (
      <Suspense fallback={<p role="status">{t('app.loading')}</p>}>
        <EraseOne item={erasing} names={loaded.names} back={(asked) => {
          setErasing(undefined)
          if (asked) again()
        }} />
      </Suspense>
    )
  }
  const Part = parts.find(([key]) => key === at)?.[1] ?? Timeline
  return (
    <>
      {loaded.partial && <p className="note note-bad" role="status">{t('record.own.only', { name: about.name })}</p>}
      {loaded.bad.length > 0 && <p className="note note-bad" role="alert">{t('record.bad', { names: loaded.bad.join(', ') })}</p>}
      {failed > 0 && <div className="note note-bad" role="alert"><strong>{t('record.failed', { count: failed })}</strong><p>{t('record.failed.do')}</p></div>}
      <RecordParts at={at} choose={setAt} partial={loaded.partial} />
      <Erasing value={own ? setErasing : undefined}><Part chart={chart} names={loaded.names} /></Erasing>
      <p><Button variant="default" onClick={close}>{t(own ? 'record.close' : 'acting.close')}</Button></p>
    </>
  )
}

function RecordParts({ at, choose, partial }: { readonly at: Key; readonly choose: (k: Key) => void; readonly partial: boolean }) {
  const { t } = useText()
  return (
    <div className="parts" role="group" aria-label={t('record.parts')}>
      {parts.filter(([key]) => !partial || key !== 'record.download').map(([key]) => <button key={key} type="button" aria-pressed={at === key} onClick={() => choose(key)}>{t(key)}</button>)}
    </div>
  )
}
