import './claim.css'
import { Button } from '@mantine/core'
import { useText } from '../app/text/text'
import { type ClaimCode, claimLink, codeText } from './code'
import { Qr } from './Qr'

/**
 * Handed is what an organisation shows or prints for the patient who stands there:
 * the QR code of the claim's link, and the code to type. Whoever has it can take
 * the record over, so nothing of it is kept by the page that shows it.
 */
export function Handed({ origin, code }: { readonly origin: string; readonly code: ClaimCode }) {
  const { t } = useText()
  return (
    <section className="handed">
      <h2>{t('claim.handed')}</h2>
      <p>{t('claim.handed.do', { origin })}</p>
      <Qr text={claimLink(origin, code)} label={t('claim.handed.qr')} />
      <p className="mono handed-code">{codeText(code)}</p>
      <p className="hint">{t('claim.handed.careful')}</p>
      <Button variant="default" className="no-print" onClick={() => window.print()}>{t('claim.handed.print')}</Button>
    </section>
  )
}
