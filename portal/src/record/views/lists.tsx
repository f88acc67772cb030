/** Problems, medications, allergies, immunizations: lists of items. */
import { Empty } from '../../app/part/load'
import { useText } from '../../app/text/text'
import type { Chart } from '../model/chart.ts'
import { Cards, type Names, SplitView } from './parts'

interface Props {
  readonly chart: Chart
  readonly names: Names
}

export const Problems = ({ chart, names }: Props) => <SplitView {...chart.problems} names={names} title="record.problems" empty="problems" />
export const Medications = ({ chart, names }: Props) => <SplitView {...chart.medications} names={names} title="record.medications" empty="medications" />
export const Allergies = ({ chart, names }: Props) => <SplitView {...chart.allergies} names={names} title="record.allergies" empty="allergies" />

export function Immunizations({ chart, names }: Props) {
  const { t } = useText()
  return (
    <section aria-label={t('record.immunizations')}>
      <h2>{t('record.immunizations')}</h2>
      {chart.immunizations.length === 0 ? <Empty title={t('record.immunizations.empty')}>{t('record.immunizations.empty.do')}</Empty> : <Cards items={chart.immunizations} names={names} label={t('record.immunizations')} dated />}
    </section>
  )
}
