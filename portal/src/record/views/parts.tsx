/** What the views of the record share. All are presentational: they show what they are given, and fetch nothing. */
import { Button } from '@mantine/core'
import { createContext, createElement, type ReactNode, use, useState } from 'react'
import { Empty } from '../../app/part/load'
import type { Key } from '../../app/text/en'
import { useText } from '../../app/text/text'
import { sayWhen } from '../model/date.ts'
import { type Item, narrativeOf } from '../model/item.ts'
import type { Tree } from '../model/narrative.ts'

export type Names = ReadonlyMap<string, string>

/** Erasing is called with a record that its patient wants to be no more; undefined where that is not asked for. */
export const Erasing = createContext<((item: Item) => void) | undefined>(undefined)

/** WhenOf writes a date no more exactly than it is known. */
export function WhenOf({ item }: { readonly item: Item }) {
  const { language } = useText()
  return item.when === undefined ? null : <time dateTime={item.when.text}>{sayWhen(item.when, language)}</time>
}

/** Narrative renders a tree of known elements, without attributes. */
export function Narrative({ tree }: { readonly tree: Tree }) {
  return <div className="narrative" tabIndex={0} role="group" aria-label={useText().t('record.narrative')}>{nodes(tree)}</div>
}
const nodes = (tree: Tree): ReactNode[] => tree.map((c, i) => (typeof c === 'string' ? c : c.children.length === 0 ? createElement(c.tag, { key: i }) : createElement(c.tag, { key: i }, ...nodes(c.children))))

/** titleIn names an item in the chosen language. */
export function useTitle(): (i: Item) => string {
  const { t } = useText()
  return (i) => (i.kind === 'unreadable' ? t('record.unreadable') : i.title === '' ? t('record.untitled', { type: i.type }) : i.title)
}

/** Sealed says who answers for a record and since when it stands. */
export function Sealed({ item, names }: { readonly item: Item; readonly names: Names }) {
  const { t, time } = useText()
  if (item.source.time === 0) return <span>{t('record.waits', { name: names.get(item.source.author) ?? item.source.author })}</span>
  return <span>{t('record.sealed', { name: names.get(item.source.author) ?? item.source.author, time: time(item.source.time) })}</span>
}

const decoder = new TextDecoder()
const longestSource = 100_000

/** Card is one item, with its details behind a disclosure that is filled when it is opened. */
export function Card({ item, names, dated }: { readonly item: Item; readonly names: Names; readonly dated?: boolean }) {
  const { t } = useText()
  const title = useTitle()
  const [open, setOpen] = useState(false)
  const short = item.facts.filter((f) => f.name === 'value' || f.name === 'dose' || f.name === 'reaction').map((f) => f.value).join(' · ')
  return (
    <li className={item.wrong ? 'entry entry-wrong' : 'entry'}>
      <div className="line-top">
        <strong>{title(item)}</strong>
        {dated === true && <WhenOf item={item} />}
      </div>
      {short !== '' && <div className="entry-short">{short}</div>}
      <div className="facts">
        {item.type !== '' && <span>{item.type}</span>}
        {item.wrong && <span className="mark mark-bad">{t('record.wrong')}</span>}
        <Sealed item={item} names={names} />
        {item.older.length > 0 && <span>{t('record.replaced', { count: item.older.length })}</span>}
      </div>
      {item.kind === 'unreadable' && <p className="hint">{item.source.error === undefined ? t('record.unreadable.form') : t('record.unreadable.why', { why: item.source.error })}</p>}
      {(item.kind !== 'unreadable' || item.source.body !== undefined) && (
        <details onToggle={(e) => setOpen(e.currentTarget.open)}>
          <summary>{t('record.details')}<span className="unseen">: {title(item)}</span></summary>
          {open && <Details item={item} />}
        </details>
      )}
    </li>
  )
}

function Details({ item }: { readonly item: Item }) {
  const { t } = useText()
  const erase = use(Erasing)
  const tree = narrativeOf(item.json)
  const text = decoder.decode(item.source.body?.subarray(0, longestSource))
  return (
    <>
      {item.kind === 'other' && <p className="hint">{t('record.other', { type: item.type })}</p>}
      {item.facts.length > 0 && <dl className="pairs">{item.facts.map((f) => <div key={f.name}><dt>{t(`fact.${f.name}`)}</dt><dd>{f.value}</dd></div>)}</dl>}
      {tree.length > 0 && <Narrative tree={tree} />}
      <h4>{t('record.source')}</h4>
      <pre className="source" tabIndex={0} role="group" aria-label={t('record.source')}>{text}</pre>
      {erase !== undefined && item.source.targets !== undefined && <div className="buttons"><Button size="xs" variant="default" onClick={() => erase(item)}>{t('era.one.do')}</Button></div>}
    </>
  )
}

/** Cards is a list that grows by steps, so that a long record is there at once. */
export function Cards({ items, names, label, dated }: { readonly items: readonly Item[]; readonly names: Names; readonly label: string; readonly dated?: boolean }) {
  const { t } = useText()
  const [shown, setShown] = useState(step)
  return (
    <>
      <ul className="lines" aria-label={label}>{items.slice(0, shown).map((i) => <Card key={i.source.key} item={i} names={names} dated={dated ?? false} />)}</ul>
      {items.length > shown && <Button variant="default" onClick={() => setShown(shown + step)}>{t('record.more', { count: items.length - shown })}</Button>}
    </>
  )
}
const step = 100

/** SplitView shows what holds now and what was earlier, or teaches where neither is. */
export function SplitView({ active, past, names, title, empty }: { readonly active: readonly Item[]; readonly past: readonly Item[]; readonly names: Names; readonly title: Key; readonly empty: 'problems' | 'medications' | 'allergies' | 'immunizations' }) {
  const { t } = useText()
  return (
    <section aria-label={t(title)}>
      <h2>{t(title)}</h2>
      {active.length + past.length === 0 && <Empty title={t(`record.${empty}.empty`)}>{t(`record.${empty}.empty.do`)}</Empty>}
      {active.length > 0 && <><h3>{t('record.active')}</h3><Cards items={active} names={names} label={t('record.active')} dated /></>}
      {past.length > 0 && <><h3>{t('record.past')}</h3><Cards items={past} names={names} label={t('record.past')} dated /></>}
    </section>
  )
}
