import { NativeSelect } from '@mantine/core'
import { useMemo, useState } from 'react'
import { Empty } from '../../app/part/load'
import { useText } from '../../app/text/text'
import type { Chart } from '../model/chart.ts'
import { type Group, groupResults } from '../model/results.ts'
import { Card, type Names, WhenOf } from './parts'
import { Plot } from './Plot'

/** Results shows one group at a time: its charts, one for each unit, and the table of all its values. */
export function Results({ chart, names }: { readonly chart: Chart; readonly names: Names }) {
  const { t } = useText()
  const groups = useMemo(() => groupResults(chart.items), [chart])
  const reports = useMemo(() => chart.items.filter((i) => i.type === 'DiagnosticReport'), [chart])
  const [key, setKey] = useState('')
  const most = useMemo(() => groups.reduce<Group | undefined>((a, g) => (a === undefined || g.readings.length > a.readings.length ? g : a), undefined), [groups])
  const group = groups.find((g) => g.key === key) ?? most
  return (
    <section aria-label={t('record.results')}>
      <h2>{t('record.results')}</h2>
      {group === undefined ? <Empty title={t('record.results.empty')}>{t('record.results.empty.do')}</Empty> : (
        <>
          <NativeSelect label={t('record.results.pick')} value={group.key} onChange={(e) => setKey(e.currentTarget.value)} data={groups.map((g) => ({ value: g.key, label: `${g.title} (${g.readings.length})` }))} />
          <GroupView key={group.key} group={group} />
        </>
      )}
      {reports.length > 0 && <ul className="lines" aria-label="DiagnosticReport">{reports.slice(0, 100).map((i) => <Card key={i.source.key} item={i} names={names} dated />)}</ul>}
    </section>
  )
}

function GroupView({ group }: { readonly group: Group }) {
  const { t } = useText()
  const drawn = group.series.filter((s) => s.points.length > 1)
  return (
    <>
      <h3>{group.title}</h3>
      {group.series.length > 1 && <p className="hint">{t('record.results.units')}</p>}
      {drawn.map((s, i) => <Plot key={i} title={group.title} series={s} />)}
      <div className="scroll" tabIndex={0} role="group" aria-label={t('record.results.table', { title: group.title })}>
        <table>
          <caption className="unseen">{t('record.results.table', { title: group.title })}</caption>
          <thead><tr><th scope="col">{t('record.results.date')}</th><th scope="col">{t('record.results.value')}</th><th scope="col">{t('record.results.range')}</th><th scope="col">{t('record.results.note')}</th></tr></thead>
          <tbody>
            {group.readings.slice(0, 500).map((r, i) => (
              <tr key={i}>
                <th scope="row">{r.item.when === undefined ? t('record.undated') : <WhenOf item={r.item} />}</th>
                <td>{r.value}</td>
                <td>{r.range}</td>
                <td>{[r.interpretation, r.item.wrong ? t('record.wrong') : '', drawn.length > 0 && !r.drawn ? t('record.results.undrawn') : ''].filter((s) => s !== '').join(' · ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}
