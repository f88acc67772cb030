import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useEffect, useState } from 'react'
import { accountText, parseAccount, parseHash } from '../core'
import { Empty, Failure } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { useText } from '../app/text/text'
import { Progress, useAct } from '../grants/Act'
import { openOwn } from '../grants/open'
import { askedText, spoken } from './guardian'
import { comeBack, type Device, enter, finish, makeKey, type Standing, standing } from './lost'

/** How often the case is asked about, in milliseconds. */
const every = 3000

const accountIn = (typed: string): Uint8Array | undefined => {
  try {
    return parseAccount(typed.trim().toLowerCase().replace(/[\s-]/g, ''))
  } catch {
    return undefined
  }
}

/** Recover is for who lost all her devices: a key of this one, the code for those who ask for it, the time lock, and the way back in. */
export function Recover() {
  const { t } = useText()
  const [device, setDevice] = useState<Device>()
  return (
    <>
      <Heading title={t('rec.lost.title')} lead={t('rec.lost.lead')} />
      {device === undefined ? <Make made={setDevice} /> : <Waiting device={device} again={() => setDevice(undefined)} />}
    </>
  )
}

function Make({ made }: { readonly made: (d: Device) => void }) {
  const { t } = useText()
  const { about } = useSession()
  const [typed, setTyped] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const account = accountIn(typed)
  const run = (f: () => Promise<Device>) => {
    setBusy(true)
    setError(undefined)
    f().then(made, (err: unknown) => {
      setError(err)
      setBusy(false)
    })
  }
  return (
    <>
      <form className="card" onSubmit={(e: FormEvent) => {
        e.preventDefault()
        if (account !== undefined) run(() => makeKey(about, account))
      }}>
        <TextInput label={t('rec.lost.account')} description={t('rec.lost.account.hint')} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} autoComplete="off" spellCheck={false} maxLength={60} error={typed.length > 25 && account === undefined ? t('rec.lost.account.bad') : undefined} />
        <div className="buttons">
          <Button type="submit" disabled={busy || account === undefined}>{t('rec.lost.make')}</Button>
          <Button variant="default" disabled={busy} onClick={() => run(() => comeBack(about))}>{t('rec.lost.back')}</Button>
        </div>
        <p role="status" className="hint">{busy ? t('enter.working') : ''}</p>
      </form>
      {error !== undefined && <Failure error={error} />}
    </>
  )
}

function Waiting({ device, again }: { readonly device: Device; readonly again: () => void }) {
  const text = useText()
  const { t, time } = text
  const session = useSession()
  const { about, info, sittings } = session
  const [at, setAt] = useState<Standing>()
  const [error, setError] = useState<unknown>()
  const act = useAct()
  const entered = info?.role === 'patient'
  const settled = entered || at?.state === 'live' || act.busy
  useEffect(() => {
    if (settled) return
    const stop = new AbortController()
    const look = () => void standing(stop.signal).then((s) => {
      setAt(s)
      setError(undefined)
    }, (err: unknown) => {
      if (!stop.signal.aborted) setError(err)
    })
    look()
    const timer = window.setInterval(look, every)
    return () => {
      stop.abort()
      window.clearInterval(timer)
    }
  }, [settled])
  const takeOver = () => act.run(async () => {
    const s = await finish()
    setAt((before) => ({ ...s, case: before?.case ?? s.case }))
    return t('rec.lost.live')
  })
  const enterNow = () => act.run(async (step, signal) => {
    const account = accountText(device.account)
    session.enter(await enter(about, device))
    if (at !== undefined && !/^0*$/.test(at.case)) sittings.after(parseHash(at.case))
    const own = await openOwn(about, account, sittings, step, signal)
    return own === undefined ? t('rec.lost.nomap') : t('rec.lost.found', { count: own.entries.length - 1 })
  })
  const code = device.key === undefined ? undefined : askedText({ account: device.account, key: device.key })
  const over = at?.state === 'waiting' && at.now >= at.from
  const state = over ? 'ready' : at?.state
  const title = at === undefined || state === undefined ? '' : t(`rec.lost.${state === 'finished' ? 'live' : state}`, { have: at.approvals, need: at.needed, time: time(at.from) })
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      <Progress act={act} />
      {!entered && state !== undefined && <div role="status"><Empty title={title}>{t(`rec.lost.${state === 'finished' ? 'live' : state}.do`)}</Empty></div>}
      {over && <div className="buttons"><Button disabled={act.busy} onClick={takeOver}>{t('rec.lost.finish')}</Button></div>}
      {!entered && (state === 'live' || state === 'finished') && <div className="buttons"><Button disabled={act.busy} onClick={enterNow}>{t('rec.lost.enter')}</Button></div>}
      {(state === 'cancelled' || state === 'lapsed') && <div className="buttons"><Button variant="default" onClick={again}>{t('rec.lost.other')}</Button></div>}
      {!entered && device.key !== undefined && code !== undefined && (state === 'none' || state === 'gathering') && (
        <section className="card" aria-labelledby="code">
          <h2 id="code">{t('rec.lost.code')}</h2>
          <p className="mono wrap">{code}</p>
          <div className="buttons"><Button variant="default" onClick={() => void navigator.clipboard.writeText(code).catch(() => undefined)}>{t('rec.lost.copy')}</Button></div>
          <p><strong>{t('rec.lost.name', { name: spoken(device.key) })}</strong></p>
          <p className="hint mono wrap">{t('rec.account', { account: accountText(device.account) })}</p>
        </section>
      )}
      {entered && act.state.at === 'done' && <p><a href="#/patient/looked">{t('looked.title')}</a></p>}
    </>
  )
}
