import { accountText, isZero, type RecoveryPatient } from '../core'
import { useText } from '../app/text/text'

/** Death says what is recorded, and the steps by which somebody comes to execute what a patient leaves. */
export function Death({ status }: { readonly status: RecoveryPatient }) {
  const { t } = useText()
  return (
    <section aria-labelledby="death">
      <h2 id="death">{t('rec.death')}</h2>
      <p className={status.deceased === 0n ? 'hint' : 'note note-bad'}>{status.deceased === 0n ? t('rec.death.none') : t('rec.death.recorded', { height: status.deceased })}</p>
      {!isZero(status.executor) && <p className="mono wrap">{t('rec.death.executor', { account: accountText(status.executor) })}</p>}
      <details className="how">
        <summary>{t('rec.death.lead')}</summary>
        <ol>{([1, 2, 3, 4] as const).map((n) => <li key={n}>{t(`rec.death.${n}`)}</li>)}</ol>
      </details>
    </section>
  )
}
