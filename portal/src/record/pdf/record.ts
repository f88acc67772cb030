/** The record on paper. Loaded when it is asked for. */
import type { Text } from '../../app/text/text'
import { type Chart, timeline } from '../model/chart.ts'
import { parseWhen, sayWhen } from '../model/date.ts'
import { type Item, narrativeOf } from '../model/item.ts'
import { words } from '../model/narrative.ts'
import { encode, type Line, paper, type Paper } from './pdf.ts'

type Say = Pick<Text, 't' | 'time' | 'language'>

/** recordPaper prints the summary's lists first, then everything by day. */
export function recordPaper(chart: Chart, names: ReadonlyMap<string, string>, text: Say, made: Date): Paper {
  const { t, language } = text
  const lines: Line[] = []
  const name = chart.patient?.title ?? ''
  const title = name === '' ? t('record.title') : `${t('record.title')}: ${name}`
  lines.push({ text: title, style: 'title' }, { text: t('record.pdf.made', { date: text.time(made.getTime() / 1000), count: chart.items.length }), style: 'plain' })
  const parts = [['record.allergies', chart.allergies.active], ['record.medications', chart.medications.active], ['record.problems', chart.problems.active], ['record.immunizations', chart.immunizations]] as const
  for (const [key, items] of parts) {
    lines.push({ text: t(key), style: 'head' })
    if (items.length === 0) lines.push({ text: t('record.summary.empty'), style: 'plain' })
    for (const i of items) lines.push({ text: [titleOf(i, text), i.when === undefined ? '' : sayWhen(i.when, language), i.wrong ? t('record.wrong') : ''].filter((s) => s !== '').join(' · '), style: 'plain', indent: 2 })
  }
  lines.push({ text: t('record.timeline'), style: 'title' })
  for (const d of timeline(chart)) {
    const w = parseWhen(d.day)
    lines.push({ text: w === undefined ? t('record.undated') : sayWhen(w, language), style: 'head' })
    for (const v of d.visits) {
      if (v.encounter !== undefined) printItem(v.encounter, 0, names, text, lines)
      for (const i of v.items) printItem(i, v.encounter === undefined ? 0 : 2, names, text, lines)
    }
  }
  if (lines.some((l) => encode(l.text).lost > 0)) lines.splice(2, 0, { text: t('record.pdf.fallback'), style: 'plain' })
  return paper(lines, title, (page, of) => t('record.pdf.page', { page, of }))
}

const titleOf = (i: Item, { t }: Say): string => (i.kind === 'unreadable' ? t('record.unreadable') : i.title === '' ? t('record.untitled', { type: i.type }) : i.title)

function printItem(i: Item, indent: number, names: ReadonlyMap<string, string>, text: Say, lines: Line[]): void {
  const { t } = text
  lines.push({ text: titleOf(i, text) + (i.wrong ? ` (${t('record.wrong')})` : ''), style: 'strong', indent })
  for (const f of i.facts) lines.push({ text: `${t(`fact.${f.name}`)}: ${f.value}`, style: 'plain', indent: indent + 2 })
  if (i.kind === 'other') {
    const said = words(narrativeOf(i.json)).trim().slice(0, 4000)
    if (said !== '') lines.push({ text: said, style: 'plain', indent: indent + 2 })
  }
  lines.push({ text: `${i.type === '' ? '' : `${i.type} · `}${t('record.sealed', { name: names.get(i.source.author) ?? i.source.author, time: text.time(i.source.time) })}`, style: 'plain', indent: indent + 2 })
}
