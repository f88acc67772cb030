import { TextInput } from '@mantine/core'
import { useDeferredValue, useMemo, useState } from 'react'
import { Empty } from '../../app/part/load'
import { useText } from '../../app/text/text'
import type { Chart } from '../model/chart.ts'
import { indexItems, search } from '../model/search.ts'
import { Cards, type Names } from './parts'

/** Find searches what is open; the words never leave the page. */
export function Find({ chart, names }: { readonly chart: Chart; readonly names: Names }) {
  const { t } = useText()
  const [query, setQuery] = useState('')
  const wanted = useDeferredValue(query)
  const index = useMemo(() => indexItems(chart.items), [chart])
  const found = useMemo(() => search(index, wanted), [index, wanted])
  return (
    <section aria-label={t('record.search')}>
      <h2>{t('record.search')}</h2>
      <p className="hint" id="search-hint">{t('record.search.hint')}</p>
      <TextInput type="search" autoComplete="off" label={t('record.search.label')} aria-describedby="search-hint" value={query} onChange={(e) => setQuery(e.currentTarget.value)} />
      <p role="status">{wanted.trim() === '' ? '' : t('record.search.found', { count: found.length })}</p>
      {wanted.trim() !== '' && (found.length === 0 ? <Empty title={t('record.search.none')}>{t('record.search.none.do')}</Empty> : <Cards key={wanted} items={found} names={names} label={t('record.search')} dated />)}
    </section>
  )
}
