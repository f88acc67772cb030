import { Button, NativeSelect, Textarea } from '@mantine/core'
import { useCallback, useState } from 'react'
import { accountText, keyText, parseKey } from '../core'
import { getJSON, type Member, postJSON, Problem } from '../app/api'
import { Empty, Failure, Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { Estate } from './Estate'
import { Owed } from '../emergency/Emergencies'
import { save } from '../looked/export'
import { parseAsked, spoken } from '../recovery/guardian'
import { stated } from './statement'

/** EmergencyDue is an emergency as gateway/portal/duty.go writes it. */
interface EmergencyDue {
  readonly id: string
  readonly patient: string
  readonly actor: string
  /** the actor's organisation */
  readonly member: string
  readonly extender: string
  readonly reason: string
  readonly declared: number
  readonly until: number
  readonly widened: number
  readonly attestBy: number
  readonly attested: number
  readonly reviewBy: number
  readonly reviewed: number
  readonly reviewer: string
  readonly disputed: number
  readonly overdue: number
  /** why it is to be looked at sooner */
  readonly flags: readonly string[] | null
}

const flags = ['often', 'again', 'doubted']

export interface CaseDue {
  readonly id: string
  readonly terms: { readonly patient: string; readonly kind: string; readonly keys: readonly string[] | null; readonly executor?: { readonly account: string } | null }
  readonly status: string
  readonly needed: number
  readonly approvals: readonly { readonly who: string }[] | null
  readonly from: number
}

export interface Duty {
  readonly now: number
  readonly self: string
  readonly may: { readonly attest: boolean; readonly review: boolean; readonly reproof: boolean; readonly fresh: boolean }
  readonly emergencies: readonly EmergencyDue[]
  readonly recoveries: readonly CaseDue[]
  readonly counts: { readonly declared: number; readonly justified: number; readonly unjustified: number; readonly overdue: number; readonly disputed: number }
  readonly suspended: boolean
}

const reasons = ['', 'OVRER', 'OVRINCOMP', 'OVRPJ', 'OVRPS', 'OVRTPS']
const kinds = ['', 'keys', 'death', 'life', 'executor']

/** Doing signs one thing and says how it went. */
export interface Doing {
  readonly busy: boolean
  run(path: string, body: unknown, sentence: Key): void
}

/** Duties is what waits for staff: emergencies to be justified or reviewed, the overdue first, and papers to be seen. */
export function Duties() {
  const { t } = useText()
  const [turn, setTurn] = useState(0)
  const [busy, setBusy] = useState(false)
  const [said, setSaid] = useState('')
  const [error, setError] = useState<unknown>()
  const fetch = useCallback((signal: AbortSignal) => {
    void turn
    return Promise.all([getJSON<Duty>('duties', signal), getJSON<Member[]>('members', signal)]).then(([d, members]) => ({ d, members }))
  }, [turn])
  const run: Doing['run'] = (path, body, sentence) => {
    setBusy(true)
    setSaid('')
    setError(undefined)
    postJSON<{ height: number }>(`duties/${path}`, body).then((c) => {
      setSaid(t(sentence, { height: c.height }))
      setTurn((n) => n + 1)
    }, setError).finally(() => setBusy(false))
  }
  return (
    <>
      <Heading title={t('duty.title')} lead={t('duty.lead')} />
      <div aria-live="polite">
        {said !== '' && <p className="note note-good">{said}</p>}
        {error !== undefined && (error instanceof Problem && error.code === 'stale' ? <p className="note note-bad" role="alert">{t('error.stale.staff')}</p> : <Failure error={error} />)}
      </div>
      <Load fetch={fetch}>{({ d, members }) => <All d={d} members={members} doing={{ busy, run }} />}</Load>
    </>
  )
}

function All({ d, members, doing }: { readonly d: Duty; readonly members: readonly Member[]; readonly doing: Doing }) {
  const { t } = useText()
  const { about } = useSession()
  return (
    <>
      {d.suspended && <p className="note note-bad">{t('duty.suspended')}</p>}
      <h2>{t('duty.emergencies')}</h2>
      {d.emergencies.length === 0 ? <Empty title={t('duty.none')}>{t('duty.none.do')}</Empty> : (
        <ul className="lines" aria-label={t('duty.emergencies')}>{d.emergencies.map((k) => <Emergency key={k.id} k={k} d={d} at={members.find((m) => m.account === k.member && k.member !== about.member)?.name} doing={doing} />)}</ul>
      )}
      <p className="hint">{t('duty.counts', { ...d.counts })}</p>
      <h2>{t('duty.keys')}</h2>
      {d.may.reproof ? <Papers d={d} doing={doing} /> : <p className="hint">{t('duty.keys.only')}</p>}
      {d.may.reproof && <Estate d={d} doing={doing} />}
    </>
  )
}

/** Emergency is one that waits; at names the organisation where it was declared, if that is another. */
function Emergency({ k, d, at, doing }: { readonly k: EmergencyDue; readonly d: Duty; readonly at: string | undefined; readonly doing: Doing }) {
  const { t, time } = useText()
  const [open, setOpen] = useState<'attest' | 'review'>()
  const mine = k.actor === d.self
  const mayReview = d.may.review && !mine && k.extender !== d.self && !(k.disputed !== 0 && k.reviewer === d.self)
  const big = { attested: BigInt(k.attested), attestBy: BigInt(k.attestBy), reviewed: BigInt(k.reviewed), reviewBy: BigInt(k.reviewBy), verdict: 0, overdue: k.overdue }
  const reason = Math.max(0, reasons.indexOf(k.reason))
  return (
    <li>
      <div className="line-top">
        <strong>{t(`looked.reason.${reason}` as Key)}{k.overdue !== 0 && <> <span className="mark mark-bad">{t('duty.overdue')}</span></>}{mine && <> <span className="mark">{t('duty.you')}</span></>}</strong>
        <time dateTime={new Date(k.declared * 1000).toISOString()}>{time(k.declared)}</time>
      </div>
      <div className="facts">
        <Owed k={big} now={BigInt(d.now)} />
        {flags.filter((f) => k.flags?.includes(f)).map((f) => <span key={f} className="mark">{t(`duty.flag.${f}` as Key)}</span>)}
        {at !== undefined && <span className="mark">{t('duty.at', { member: at })}</span>}
        {k.widened !== 0 && <span>{t('eme.widened', { time: time(k.widened) })}</span>}
        {!mine && <span className="mono">{t('duty.actor', { account: k.actor.slice(-6) })}</span>}
        <span className="mono">{t('duty.patient', { account: k.patient.slice(0, 8) })}</span>
      </div>
      {open === undefined ? (
        <div className="buttons">
          {mine && k.attested === 0 && <Button size="xs" variant="default" disabled={doing.busy} onClick={() => setOpen('attest')}>{t('duty.attest')}</Button>}
          {mayReview && <Button size="xs" variant="default" disabled={doing.busy} onClick={() => setOpen('review')}>{t('duty.review')}</Button>}
        </div>
      ) : <Say what={open} id={k.id} doing={doing} close={() => setOpen(undefined)} />}
    </li>
  )
}

/** Say takes the account of an emergency, or the reasons of a verdict. */
function Say({ what, id, doing, close }: { readonly what: 'attest' | 'review'; readonly id: string; readonly doing: Doing; readonly close: () => void }) {
  const { t } = useText()
  const [text, setText] = useState('')
  const [verdict, setVerdict] = useState('justified')
  const sign = () => {
    const s = stated(id, text)
    save(`${what}-${id.slice(0, 8)}.json`, 'application/json', s.file)
    if (what === 'attest') doing.run('attest', { case: id, account: s.commitment }, 'duty.attested')
    else doing.run('review', { case: id, verdict, findings: s.commitment }, 'duty.reviewed')
    close()
  }
  return (
    <form className="card" onSubmit={(e) => {
      e.preventDefault()
      if (text.trim() !== '') sign()
    }}>
      {what === 'review' && <NativeSelect label={t('duty.verdict')} value={verdict} onChange={(e) => setVerdict(e.currentTarget.value)} data={['justified', 'unjustified', 'inconclusive'].map((v, i) => ({ value: v, label: t(`eme.verdict.${i + 1}` as Key) }))} />}
      <Textarea label={t(`duty.statement.${what}`)} description={t('duty.statement.hint')} rows={4} value={text} onChange={(e) => setText(e.currentTarget.value)} maxLength={20_000} />
      <div className="buttons">
        <Button type="submit" disabled={doing.busy || text.trim() === ''}>{t('duty.sign')}</Button>
        <Button variant="default" onClick={close}>{t('act.cancel')}</Button>
      </div>
    </form>
  )
}

const ofKeys = (d: Duty): readonly CaseDue[] => d.recoveries.filter((k) => k.terms.kind === 'keys')

function Papers({ d, doing }: { readonly d: Duty; readonly doing: Doing }) {
  const { t } = useText()
  const [typed, setTyped] = useState('')
  const [seen, setSeen] = useState('')
  const asked = parseAsked(typed)
  const request = () => {
    if (asked === undefined) return
    const patient = accountText(asked.account)
    const s = stated(patient, seen)
    save(`papers-${patient.slice(0, 8)}.json`, 'application/json', s.file)
    doing.run('reproof', { patient, key: keyText(asked.key), document: s.commitment }, 'duty.keys.requested')
    setTyped('')
    setSeen('')
  }
  return (
    <>
      <p className="hint">{t('duty.keys.lead')}</p>
      {!d.may.fresh && <div className="note"><p>{t('duty.stale')}</p><Button component="a" href="/api/staff/start?fresh=1">{t('duty.fresh')}</Button></div>}
      {ofKeys(d).length === 0 ? <Empty title={t('duty.keys.none')}>{t('duty.keys.none.do')}</Empty> : (
        <ul className="lines" aria-label={t('duty.keys')}>{ofKeys(d).map((k) => <Case key={k.id} k={k} d={d} doing={doing} />)}</ul>
      )}
      {d.may.fresh && (
        <form className="card" onSubmit={(e) => {
          e.preventDefault()
          request()
        }}>
          <Textarea label={t('duty.keys.code')} rows={3} value={typed} spellCheck={false} onChange={(e) => setTyped(e.currentTarget.value)} error={typed.trim() !== '' && asked === undefined ? t('rec.help.code.bad') : undefined} />
          {asked !== undefined && <p><strong>{t('duty.keys.compare', { name: spoken(asked.key) })}</strong></p>}
          <Textarea label={t('duty.keys.seen')} description={t('duty.statement.hint')} rows={3} value={seen} onChange={(e) => setSeen(e.currentTarget.value)} maxLength={20_000} />
          <div className="buttons"><Button type="submit" disabled={doing.busy || asked === undefined || seen.trim() === ''}>{t('duty.keys.request')}</Button></div>
        </form>
      )}
    </>
  )
}

/** Case is one that staff carries: how far it is, and what she who looks may do about it. */
export function Case({ k, d, doing }: { readonly k: CaseDue; readonly d: Duty; readonly doing: Doing }) {
  const { t, time } = useText()
  const kind = kinds.indexOf(k.terms.kind)
  const approvals = k.approvals ?? []
  const mine = approvals.some((a) => a.who === d.self)
  const names = (k.terms.keys ?? []).map((s) => spoken(parseKey(s)))
  return (
    <li>
      <strong>{t(`duty.keys.kind.${kind}` as Key)}</strong>
      <div className="facts">
        <span>{k.status === 'waiting' ? t('rec.help.done', { time: time(k.from) }) : t('rec.notice.gathering', { have: approvals.length, need: k.needed })}</span>
        <span className="mono">{t('duty.patient', { account: k.terms.patient.slice(0, 8) })}</span>
        {k.terms.executor && <span className="mono wrap">{t('rec.death.executor', { account: k.terms.executor.account })}</span>}
        {names.map((n) => <span key={n}>{t('rec.lost.name', { name: n })}</span>)}
      </div>
      {k.status === 'gathering' && mine && <p className="hint">{t('duty.keys.mine')}</p>}
      <div className="buttons">
        {k.status === 'gathering' && !mine && d.may.fresh && <Button size="xs" disabled={doing.busy} onClick={() => doing.run('approve', { case: k.id }, 'duty.keys.approved')}>{t('duty.keys.approve')}</Button>}
        {k.status === 'waiting' && kind !== 1 && k.from <= d.now && <Button size="xs" disabled={doing.busy} onClick={() => doing.run('finish', { case: k.id }, 'duty.death.finished')}>{t('duty.death.finish')}</Button>}
        <Button size="xs" variant="default" disabled={doing.busy} onClick={() => doing.run('cancel', { case: k.id }, 'duty.keys.cancelled')}>{t('duty.keys.cancel')}</Button>
      </div>
    </li>
  )
}
