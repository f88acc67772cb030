import { Button } from '@mantine/core'
import { useCallback, useEffect, useState } from 'react'
import { algPasskey, hex, keyId, parseAccount, type Principal } from '../core'
import { confirmedOf } from '../app/confirmed'
import { Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { pathTo } from '../app/route'
import { makePasskey, principalOf, submit } from '../app/sign'
import { useText } from '../app/text/text'
import { useNews } from '../looked/news'
import { Death } from '../recovery/Death'
import { Guardians } from '../recovery/Guardians'
import { recoveryOf } from '../recovery/status'
import { type Acting, Progress, useAct } from './Act'

/** At most this many keys may be live (spec/tx-identity.cddl). */
const maxKeys = 8

/** Devices lists the keys that the account obeys; adds a passkey of another device, removes one. */
export function Devices() {
  const { t } = useText()
  const { info } = useSession()
  const account = info?.account ?? ''
  const [turn, setTurn] = useState(0)
  const act = useAct()
  const committed = act.state.at === 'done'
  useEffect(() => {
    if (committed) setTurn((n) => n + 1)
  }, [committed])
  const { count } = useNews(account)
  const fetch = useCallback((signal: AbortSignal) => {
    void [turn, count] // what was committed is fetched, and what another device did, which stands in the log
    return Promise.all([principalOf(parseAccount(account), signal), recoveryOf(account, signal)])
  }, [account, turn, count])
  return (
    <>
      <Heading title={t('devices.title')} lead={t('devices.lead')} />
      <Progress act={act} />
      <Load fetch={fetch}>{([p, status]) => (
        <>
          <Keys principal={p} act={act} account={account} />
          <Guardians status={status} account={account} act={act} />
          <Death status={status} />
          <p><a href={pathTo('patient', 'guardian')}>{t('rec.help')}</a></p>
          <p><a href={pathTo('patient', 'acting')}>{t('acting.title')}</a></p>
        </>
      )}</Load>
    </>
  )
}

function Keys({ principal, act, account }: { readonly principal: Principal; readonly act: Acting; readonly account: string }) {
  const { t } = useText()
  const { about } = useSession()
  const [asked, setAsked] = useState('')
  const live = principal.keys.filter((k) => k.until === 0n)
  const add = () => act.run(async (step, signal) => {
    const key = await makePasskey(about, account, signal)
    const c = await submit(about, account, 'identity.rotate', { account: parseAccount(account), add: [key], revoke: [] }, step, signal, confirmedOf(account))
    return t('devices.added', { height: c.height })
  })
  const remove = (id: Uint8Array) => {
    setAsked('')
    act.run(async (step, signal) => {
      const c = await submit(about, account, 'identity.rotate', { account: parseAccount(account), add: [], revoke: [id] }, step, signal)
      return t('devices.removed', { height: c.height })
    })
  }
  return (
    <>
      <ul className="lines" aria-label={t('devices.title')}>
        {live.map((k) => {
          const id = keyId(k.public)
          const name = hex(id).slice(0, 8)
          return (
            <li key={name}>
              <strong>{t(k.public.alg === algPasskey ? 'devices.passkey' : 'devices.key', { id: name })}</strong>
              <div className="facts"><span>{t('devices.from', { height: k.from })}</span></div>
              {live.length > 1 && (asked === name ? (
                <div className="note" role="group" aria-label={t('devices.remove.of', { id: name })}>
                  <p>{t('devices.remove.sure')}</p>
                  <div className="buttons">
                    <Button size="xs" color="red" variant="default" disabled={act.busy} onClick={() => remove(id)}>{t('devices.remove.yes')}</Button>
                    <Button size="xs" variant="default" onClick={() => setAsked('')}>{t('act.cancel')}</Button>
                  </div>
                </div>
              ) : <div className="buttons"><Button size="xs" variant="default" aria-label={t('devices.remove.of', { id: name })} disabled={act.busy} onClick={() => setAsked(name)}>{t('devices.remove')}</Button></div>)}
            </li>
          )
        })}
      </ul>
      {live.length === 1 && <p className="note">{t('devices.one')}</p>}
      {live.length < maxKeys && <div className="buttons"><Button disabled={act.busy} onClick={add}>{t('devices.add')}</Button></div>}
      <p className="hint">{t('rec.hint')}</p>
    </>
  )
}
