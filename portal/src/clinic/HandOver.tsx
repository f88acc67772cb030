import { Button } from '@mantine/core'
import { useState } from 'react'
import { postJSON, Problem } from '../app/api'
import { Failure } from '../app/part/load'
import { useSession } from '../app/session'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { type ClaimCode, parseCode } from '../claim/code'
import { Handed } from '../claim/Handed'

/** Why there is no code, as far as that is no fault. */
const reasons: Readonly<Record<string, Key>> = { claimed: 'clinic.hand.claimed', claim: 'clinic.hand.none', unknown: 'clinic.hand.none', role: 'clinic.hand.role', '0x2202': 'clinic.hand.elsewhere' }

/** HandOver shows the one-time code with which the patient who stands there takes her record over. It is asked for when it is wanted, and gone with this view. */
export function HandOver({ reference }: { readonly reference: string }) {
  const { t } = useText()
  const { about } = useSession()
  const [busy, setBusy] = useState(false)
  const [code, setCode] = useState<ClaimCode>()
  const [reason, setReason] = useState<Key>()
  const [error, setError] = useState<unknown>()
  const ask = async () => {
    setBusy(true)
    setReason(undefined)
    setError(undefined)
    try {
      setCode(parseCode((await postJSON<{ code: string }>('claims', { patient: reference })).code))
    } catch (err) {
      const known = err instanceof Problem ? reasons[err.code] : undefined
      if (known === undefined) setError(err)
      else setReason(known)
    }
    setBusy(false)
  }
  return (
    <section aria-labelledby="hand">
      <h2 id="hand">{t('clinic.hand')}</h2>
      {code === undefined ? (
        <>
          <p className="hint">{t('clinic.hand.hint')}</p>
          <p><Button variant="default" disabled={busy} onClick={() => void ask()}>{t('clinic.hand.do')}</Button></p>
        </>
      ) : (
        <div className="card">
          <Handed origin={about.origin} code={code} />
          <Button variant="default" className="no-print" onClick={() => setCode(undefined)}>{t('clinic.hand.hide')}</Button>
        </div>
      )}
      <div role="status">{reason !== undefined && <p className="note">{t(reason)}</p>}</div>
      {error !== undefined && <Failure error={error} />}
    </section>
  )
}
