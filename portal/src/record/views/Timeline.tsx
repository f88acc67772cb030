import { Button } from '@mantine/core'
import { useMemo, useState } from 'react'
import { Empty } from '../../app/part/load'
import { useText } from '../../app/text/text'
import { type Chart, type Day, timeline } from '../model/chart.ts'
import { parseWhen, sayWhen } from '../model/date.ts'
import { Card, type Names, useTitle } from './parts'

const step = 100

/** Timeline shows everything by day, newest first, and within a day by encounter. */
export function Timeline({ chart, names }: { readonly chart: Chart; readonly names: Names }) {
  const { t } = useText()
  const [shown, setShown] = useState(step)
  const days = useMemo(() => timeline(chart, chart.items.slice(0, shown)), [chart, shown])
  const left = chart.items.length - shown
  return (
    <section aria-label={t('record.timeline')}>
      <h2>{t('record.timeline')}</h2>
      {chart.items.length === 0 ? <Empty title={t('record.empty')}>{t('record.empty.do')}</Empty> : <p className="hint">{t('record.count', { count: chart.items.length })}</p>}
      {days.map((d) => <DayView key={d.day} day={d} names={names} />)}
      {left > 0 && <Button variant="default" onClick={() => setShown(shown + step)}>{t('record.more', { count: left })}</Button>}
    </section>
  )
}

function DayView({ day, names }: { readonly day: Day; readonly names: Names }) {
  const { t, language } = useText()
  const title = useTitle()
  const when = parseWhen(day.day)
  const label = when === undefined ? t('record.undated') : sayWhen(when, language)
  return (
    <>
      <h3 className="day">{label}</h3>
      {day.visits.map((v) => (
        <ul className="lines" key={v.encounter?.source.key ?? ''} aria-label={v.encounter === undefined ? label : `${label}: ${title(v.encounter)}`}>
          {v.encounter !== undefined && <Card item={v.encounter} names={names} />}
          {v.items.map((i) => <Card key={i.source.key} item={i} names={names} />)}
        </ul>
      ))}
    </>
  )
}
