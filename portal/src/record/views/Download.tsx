import { Button } from '@mantine/core'
import { useState } from 'react'
import { Failure } from '../../app/part/load'
import { useText } from '../../app/text/text'
import { bundleOf } from '../model/bundle.ts'
import type { Chart } from '../model/chart.ts'
import { save } from './Documents'
import type { Names } from './parts'

/** Download makes the two files in this page. */
export function Download({ chart, names }: { readonly chart: Chart; readonly names: Names }) {
  const text = useText()
  const { t } = text
  const [error, setError] = useState<unknown>()
  const left = chart.unreadable.length
  const day = new Date().toISOString().slice(0, 10)
  const pdf = async () => {
    try {
      const { recordPaper } = await import('../pdf/record.ts')
      save([recordPaper(chart, names, text, new Date()).bytes], 'application/pdf', `record-${day}.pdf`)
    } catch (err) {
      setError(err)
    }
  }
  return (
    <section aria-label={t('record.download')}>
      <h2>{t('record.download')}</h2>
      <p className="lead">{t('record.download.lead')}</p>
      {error !== undefined && <Failure error={error} />}
      <div className="card">
        <Button onClick={() => save(bundleOf(chart.items, new Date()).parts, 'application/fhir+json', `record-${day}.json`)}>{t('record.download.bundle')}</Button>
        <p className="hint">{t('record.download.bundle.hint')}{left > 0 && ` ${t('record.download.left', { count: left })}`}</p>
        <Button variant="default" onClick={() => void pdf()}>{t('record.download.pdf')}</Button>
        <p className="hint">{t('record.download.pdf.hint')}</p>
      </div>
    </section>
  )
}
