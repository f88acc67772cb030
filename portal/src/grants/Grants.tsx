import './grants.css'
import { Button, Checkbox } from '@mantine/core'
import { useCallback, useEffect, useState } from 'react'
import { accountText, type ConsentAll, consentAllSchema, decodeAny, denialsSchema, encode, equal, hex, type Other, parseAccount, type Standing } from '../core'
import { accountSchema } from '../core/tx/name'
import { struct } from '../core/wire/schema'
import { getBytes, getJSON, type Member, postJSON } from '../app/api'
import { Empty, Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { submit } from '../app/sign'
import { useText } from '../app/text/text'
import { changeOf } from './signed.ts'
import { coolingName } from '../looked/keep'
import { useNews } from '../looked/news'
import { type Acting, Progress, useAct } from './Act'
import type { Later } from './cooling'
import { Form } from './Form'
import { openOwn, type Own } from './open'
import { Readers } from './Readers'
import { grantSentence, kindsOf, proxySentence } from './sentence'

const byPatient = struct({ patient: [1, accountSchema] })
const maxAnswer = 4 << 20

export interface Found {
  readonly all: ConsentAll
  /** What was said under pseudonyms merged with hers. */
  readonly others: readonly Other[]
  readonly members: readonly Member[]
  readonly names: ReadonlyMap<string, string>
}

const seconds = () => BigInt(Math.floor(Date.now() / 1000))

/** Grants is "Who may look": consents as sentences; giving, narrowing and taking them back. */
export function Grants() {
  const { t } = useText()
  const { info } = useSession()
  const account = info?.account ?? ''
  const [turn, setTurn] = useState(0)
  const { count } = useNews(account)
  const fetch = useCallback(async (signal: AbortSignal): Promise<Found> => {
    void [turn, count] // what was committed is fetched, and what another device did, which stands in the log
    const arg = hex(encode(byPatient, { patient: parseAccount(account) }))
    const [answer, denials, members] = await Promise.all([
      getBytes(`query/consent/grants?arg=${arg}`, signal), getBytes(`query/consent/denials?arg=${arg}`, signal), getJSON<Member[]>('members', signal),
    ])
    return { all: decodeAny(consentAllSchema, answer, maxAnswer), others: decodeAny(denialsSchema, denials, maxAnswer).others, members, names: new Map(members.map((m) => [m.account, m.name])) }
  }, [account, turn, count])
  const act = useAct()
  const committed = act.state.at === 'done'
  useEffect(() => {
    if (committed) setTurn((n) => n + 1)
  }, [committed])
  return (
    <>
      <Heading title={t('grants.title')} lead={t('grants.lead')} />
      <Progress act={act} />
      <Load fetch={fetch}>{(found) => <Consents found={found} act={act} account={account} />}</Load>
    </>
  )
}

function Consents({ found, act, account }: { readonly found: Found; readonly act: Acting; readonly account: string }) {
  const text = useText()
  const { t, time } = text
  const { about, sittings } = useSession()
  const [own, setOwn] = useState<Own>()
  const [editing, setEditing] = useState<Standing | 'new'>()
  const [cooling, setCooling] = useState(() => localStorage.getItem(coolingName(account)) !== null)
  const { all, names } = found
  const now = seconds()
  const patient = parseAccount(account)
  const revoke = (id: Uint8Array) => act.run(async (step, signal) => {
    const c = await submit(about, account, 'consent.revoke', { patient, id }, step, signal)
    return t('grants.revoked', { height: c.height })
  })
  const open = () => act.run(async (step, signal) => {
    const o = await openOwn(about, account, sittings, step, signal)
    setOwn(o)
    if (o !== undefined) return t('grants.map.open', { count: o.entries.length - 1 })
    await postJSON('slots', {})
    return t('grants.map.none')
  })
  const cool = (on: boolean) => {
    if (on) localStorage.setItem(coolingName(account), 'on')
    else localStorage.removeItem(coolingName(account))
    setCooling(on)
  }
  const give = (later: Later, nobodyElse: boolean) => {
    setEditing(undefined)
    const { grant } = later
    const change = changeOf(patient, later, nobodyElse, editing === undefined || editing === 'new' ? undefined : editing.grant.id)
    act.run(async (step, signal) => {
      const c = change.revoke.length + change.give.length === 1 ? await submit(about, account, 'consent.grant', { patient, grant }, step, signal) : await submit(about, account, 'consent.change', change, step, signal)
      return grant.notBefore > seconds() ? t('cool.given', { height: c.height, time: time(grant.notBefore) }) : t('grants.given', { height: c.height })
    })
  }
  if (editing !== undefined) {
    return <Form found={found} own={own} before={editing === 'new' ? undefined : editing} patient={patient} cooling={cooling} give={give} close={() => setEditing(undefined)} />
  }
  return (
    <>
      {all.grants.length === 0 ? <Empty title={t('grants.empty')}>{t('grants.empty.do')}</Empty> : (
        <ul className="lines" aria-label={t('grants.title')}>
          {all.grants.map((s) => {
            const kinds = kindsOf(s.grant, own?.slots, text)
            const over = s.grant.notAfter !== 0n && s.grant.notAfter <= now
            const mine = equal(s.signer, patient)
            const pending = s.grant.notBefore > now
            return (
              <li key={hex(s.grant.id)}>
                <strong>{grantSentence(s.grant, names, now, text)}</strong>
                {kinds !== undefined && <p className="kinds">{kinds.allowed} {kinds.denied}</p>}
                <div className="facts">
                  {pending && <span className="mark">{t('cool.pending', { time: time(s.grant.notBefore) })}</span>}
                  {over && <span className="mark">{t('grants.over')}</span>}
                  {s.grant.uses !== 0 && <span>{t('grants.uses', { count: s.left })}</span>}
                  {s.grant.recorded && <span>{t('grants.paper')}</span>}
                  {!s.grant.recorded && !mine && <span>{t('grants.byProxy', { account: accountText(s.signer).slice(-6) })}</span>}
                  <span>{t(pending ? 'cool.since' : 'grants.since', { height: s.height })}</span>
                  <span className="mono">{hex(s.grant.id).slice(0, 8)}</span>
                </div>
                <div className="buttons">
                  <Button size="xs" variant="default" disabled={act.busy} onClick={() => setEditing(s)}>{t('grants.change')}</Button>
                  <Button size="xs" variant="default" disabled={act.busy} onClick={() => revoke(s.grant.id)}>{t(pending ? 'cool.cancel' : 'grants.revoke')}</Button>
                </div>
              </li>
            )
          })}
        </ul>
      )}
      {own === undefined ? (
        <div className="note">
          <strong>{t('grants.map')}</strong>
          <p>{t('grants.map.why')}</p>
          <Button variant={all.grants.length === 0 ? 'filled' : 'default'} disabled={act.busy} onClick={open}>{t('grants.map.do')}</Button>
        </div>
      ) : (
        <div className="buttons"><Button disabled={act.busy} onClick={() => setEditing('new')}>{t('grants.new')}</Button></div>
      )}
      {all.grants.length > 1 && <div className="buttons"><Button variant="default" disabled={act.busy} onClick={() => revoke(new Uint8Array(16))}>{t('grants.revokeAll')}</Button></div>}
      <p className="hint">{t(cooling ? 'cool.now' : 'grants.now')}</p>
      <Checkbox className="cooling" label={t('cool.option')} description={t('cool.option.hint')} checked={cooling} onChange={(e) => cool(e.currentTarget.checked)} />
      {own !== undefined && <Readers found={found} own={own} patient={patient} now={now} />}
      {all.proxies.length > 0 && (
        <>
          <h2>{t('grants.proxies')}</h2>
          <ul className="lines">{all.proxies.map((s) => <li key={accountText(s.proxy.account)}>{proxySentence(s.proxy, now, text)}</li>)}</ul>
        </>
      )}
    </>
  )
}
