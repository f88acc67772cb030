import { Button } from '@mantine/core'
import { useState } from 'react'
import type { About, SessionInfo } from '../../api'
import { Failure } from '../../part/load'
import { Heading } from '../../part/title'
import { pathTo } from '../../route'
import { useSession } from '../../session'
import { useText } from '../../text/text'
import { signIn, signUp } from '../../wallet'
import { Fingerprint } from '../../../trust/Root'

/** Enter is where a patient signs in or up with a passkey, and where a locked page waits. */
export function Enter() {
  const { about, locked, enter } = useSession()
  const { t } = useText()
  const [busy, setBusy] = useState<'in' | 'up'>()
  const [error, setError] = useState<unknown>()
  const run = (which: 'in' | 'up', ceremony: (about: About) => Promise<SessionInfo>) => {
    setBusy(which)
    setError(undefined)
    ceremony(about).then(enter, (err: unknown) => {
      setError(err)
      setBusy(undefined)
    })
  }
  return (
    <section className="enter">
      <Heading title={t(locked ? 'enter.locked' : 'enter.title')} lead={t(locked ? 'enter.locked.lead' : 'enter.lead')} quiet={!locked} />
      <div className="card">
        <Button size="md" fullWidth loading={busy === 'in'} disabled={busy !== undefined} onClick={() => run('in', signIn)}>{t('enter.signIn')}</Button>
        {about.signUp ? (
          <>
            <Button size="md" fullWidth variant="default" loading={busy === 'up'} disabled={busy !== undefined} onClick={() => run('up', signUp)}>{t('enter.signUp')}</Button>
            <p className="hint">{t('enter.signUp.hint', { name: about.name })}</p>
          </>
        ) : (
          <p className="hint">{t('enter.signUp.closed', { name: about.name })}</p>
        )}
        <p className="hint"><a href={pathTo('patient', 'claim')}>{t('claim.enter')}</a></p>
        <p className="hint"><a href={pathTo('patient', 'recover')}>{t('rec.lost')}</a></p>
        <p role="status" className="hint">{busy !== undefined ? t('enter.working') : ''}</p>
        {error !== undefined && <Failure error={error} />}
      </div>
      <Fingerprint />
    </section>
  )
}
