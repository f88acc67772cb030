import { type KeyboardEvent, useRef, useState } from 'react'
import { useText } from '../../app/text/text'
import { parseWhen, sayWhen } from '../model/date.ts'
import type { Series } from '../model/results.ts'

const width = 640
const height = 240
const left = 64
const right = 16
const top = 16
const bottom = 40

/** ticks gives about n round numbers that span low to high. */
export function ticks(low: number, high: number, n: number): number[] {
  const span = high - low || Math.abs(high) || 1
  const raw = span / n
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = ([1, 2, 5, 10].find((m) => m * power >= raw) ?? 10) * power
  const first = Math.floor(low / step)
  const count = Math.min(Math.ceil(high / step) - first, 20)
  return Array.from({ length: Math.max(count, 1) + 1 }, (_, i) => Number(((first + i) * step).toPrecision(15)))
}

/** Plot draws one series: values over time, the reference range behind them. Arrow keys go from point to point. */
export function Plot({ title, series }: { readonly title: string; readonly series: Series }) {
  const { t, language } = useText()
  const { points, low, high } = series
  const [at, setAt] = useState(points.length - 1)
  const svg = useRef<SVGSVGElement>(null)
  const first = points[0]
  const last = points[points.length - 1]
  if (first === undefined || last === undefined) return null
  const values = [...points.map((p) => p.value), ...(low === undefined ? [] : [low]), ...(high === undefined ? [] : [high])]
  const marks = ticks(Math.min(...values), Math.max(...values), 5)
  const bounds = [marks[0] ?? 0, marks[marks.length - 1] ?? 1] as const
  const span = last.when.at - first.when.at
  const x = (when: number) => (span === 0 ? left + (width - left - right) / 2 : left + ((when - first.when.at) / span) * (width - left - right))
  const y = (v: number) => top + (1 - (v - bounds[0]) / (bounds[1] - bounds[0] || 1)) * (height - top - bottom)
  const years = span / 31_557_600_000
  const dates = span === 0 ? [first.when.at] : Array.from({ length: 4 }, (_, i) => first.when.at + (span * i) / 3)
  const dateText = (ms: number) => sayWhen(parseWhen(new Date(ms).toISOString().slice(0, years > 8 ? 4 : years > 1 ? 7 : 10)) ?? first.when, language)
  const say = (i: number) => {
    const p = points[i]
    return p === undefined ? '' : `${sayWhen(p.when, language)}: ${p.text}`
  }
  const move = (e: KeyboardEvent) => {
    const next = e.key === 'ArrowRight' ? Math.min(at + 1, points.length - 1) : e.key === 'ArrowLeft' ? Math.max(at - 1, 0) : e.key === 'Home' ? 0 : e.key === 'End' ? points.length - 1 : undefined
    if (next === undefined) return
    e.preventDefault()
    setAt(next)
    svg.current?.querySelector<SVGElement>(`[data-point="${next}"]`)?.focus()
  }
  const unit = series.unit === '' ? t('record.results.nounit') : series.unit
  const range = low === undefined && high === undefined ? '' : low === undefined ? `≤ ${high}` : high === undefined ? `≥ ${low}` : `${low} – ${high}`
  return (
    <figure className="plot">
      <div className="plot-scroll">
        <svg ref={svg} viewBox={`0 0 ${width} ${height}`} role="group" aria-label={t('record.results.chart', { title, count: points.length, unit, from: sayWhen(first.when, language), to: sayWhen(last.when, language) })} onKeyDown={move}>
          {range !== '' && <rect className="band" x={left} width={width - left - right} y={y(high ?? bounds[1])} height={Math.max(y(low ?? bounds[0]) - y(high ?? bounds[1]), 0)} />}
          {marks.map((v) => (
            <g key={v} aria-hidden="true">
              <line className="grid" x1={left} x2={width - right} y1={y(v)} y2={y(v)} />
              <text className="tick" x={left - 8} y={y(v) + 5} textAnchor="end">{v}</text>
            </g>
          ))}
          {dates.map((d, i) => <text key={d} className="tick" aria-hidden="true" x={x(d)} y={height - 14} textAnchor={span === 0 ? 'middle' : i === 0 ? 'start' : i === 3 ? 'end' : 'middle'}>{dateText(d)}</text>)}
          <polyline className="trend" aria-hidden="true" points={points.map((p) => `${x(p.when.at).toFixed(1)},${y(p.value).toFixed(1)}`).join(' ')} />
          {points.map((p, i) => (
            <circle key={p.item.source.key} className="point" data-point={i} cx={x(p.when.at)} cy={y(p.value)} r={i === at ? 7 : 5} tabIndex={i === at ? 0 : -1} role="img" aria-label={say(i)} onFocus={() => setAt(i)} onPointerEnter={() => setAt(i)} />
          ))}
        </svg>
      </div>
      <figcaption>
        <span aria-live="polite"><strong>{say(at)}</strong></span>
        {range !== '' && <span className="hint"> {t('record.results.band', { range: `${range} ${series.unit}` })}</span>}
        {points.length > 1 && <p className="hint">{t('record.results.keys')}</p>}
      </figcaption>
    </figure>
  )
}
