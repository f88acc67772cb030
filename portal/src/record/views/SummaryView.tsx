import { useMemo } from 'react'
import { useText } from '../../app/text/text'
import type { Chart } from '../model/chart.ts'
import { sayWhen } from '../model/date.ts'
import { type Section, summaryOf } from '../model/summary.ts'
import { Cards, Narrative, type Names } from './parts'

/** SummaryView shows the patient summary in the order of its sections. */
export function SummaryView({ chart, names }: { readonly chart: Chart; readonly names: Names }) {
  const { t, language } = useText()
  const s = useMemo(() => summaryOf(chart), [chart])
  return (
    <section aria-label={t('record.summary')}>
      <h2>{s.title || t('record.summary')}</h2>
      <p className="lead">{s.from === undefined ? t('record.summary.made') : t('record.summary.from', { name: names.get(s.from.source.author) ?? s.from.source.author, date: s.from.when === undefined ? t('record.undated') : sayWhen(s.from.when, language) })}</p>
      {s.sections.map((x, i) => <One key={i} section={x} names={names} />)}
    </section>
  )
}

function One({ section: s, names }: { readonly section: Section; readonly names: Names }) {
  const { t } = useText()
  const title = s.title || t(`record.summary.${s.name}`)
  return (
    <>
      <h3>{title}</h3>
      {s.narrative.length > 0 && <Narrative tree={s.narrative} />}
      {s.items.length > 0 && <Cards items={s.items} names={names} label={title} dated />}
      {s.missing.map((m, i) => <p key={i} className="hint">{t('record.summary.missing', { what: m })}</p>)}
      {s.items.length === 0 && s.narrative.length === 0 && <p className="hint">{s.empty || t('record.summary.empty')}</p>}
    </>
  )
}
