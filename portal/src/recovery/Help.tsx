import { Button, Textarea } from '@mantine/core'
import { useState } from 'react'
import { accountText, equal, hex, keyIdText, type RecoveryPatient, sameKey } from '../core'
import { postJSONBytes, Problem } from '../app/api'
import { Failure } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { submit } from '../app/sign'
import { useText } from '../app/text/text'
import { Progress, useAct } from '../grants/Act'
import { type Asked, type Card, caseId, keyIdOfCard, parseAsked, parseCard, proofOf, spoken, termsFor } from './guardian'
import { decodeStatus } from './status'

/** Help is where a guardian asks for, or approves, the key of somebody who lost hers. */
export function Help() {
  const { t } = useText()
  const { about, info } = useSession()
  const account = info?.account ?? ''
  const [card, setCard] = useState<Card>()
  const [badCard, setBadCard] = useState(false)
  const [typed, setTyped] = useState('')
  const [status, setStatus] = useState<RecoveryPatient>()
  const [error, setError] = useState<unknown>()
  const act = useAct()
  const asked = parseAsked(typed)
  const other = card !== undefined && asked !== undefined && !equal(card.patient, asked.account)
  const look = () => {
    if (card === undefined) return
    setStatus(undefined)
    setError(undefined)
    const key = keyIdOfCard(card)
    postJSONBytes('guardian', { patient: accountText(card.patient), salt: hex(card.salt), ...(key === undefined ? {} : { key: keyIdText(key) }) }).then((b) => setStatus(decodeStatus(b)), setError)
  }
  const approve = (asked: Asked, card: Card, status: RecoveryPatient) => act.run(async (step, signal) => {
    setStatus(undefined)
    const running = status.running.find((k) => k.terms.kind === 1)
    if (running !== undefined) {
      const c = await submit(about, account, 'recovery.approve', { case: running.id, proof: proofOf(card, running.id) }, step, signal)
      return t('rec.help.approved', { height: c.height })
    }
    const terms = termsFor(asked.account, status.number + 1n, asked.key)
    const c = await submit(about, account, 'recovery.request', { terms, proof: proofOf(card, caseId(about.chain, terms)) }, step, signal)
    return t('rec.help.asked', { height: c.height })
  })
  return (
    <>
      <Heading title={t('rec.help')} lead={t('rec.help.lead')} />
      <Progress act={act} />
      <div className="card">
        <label className="filed">
          <span>{t('rec.help.card')}</span>
          <span className="hint">{t('rec.help.card.hint')}</span>
          <input type="file" accept="application/json,.json" onChange={(e) => {
            setStatus(undefined)
            setCard(undefined)
            setBadCard(false)
            void e.currentTarget.files?.[0]?.text().then((s) => setCard(parseCard(s))).catch(() => setBadCard(true))
          }} />
        </label>
        {badCard && <p className="note note-bad" role="alert">{t('rec.help.card.bad')}</p>}
        <Textarea label={t('rec.help.code')} rows={3} value={typed} spellCheck={false} onChange={(e) => {
          setStatus(undefined)
          setTyped(e.currentTarget.value)
        }} error={typed.trim() !== '' && asked === undefined ? t('rec.help.code.bad') : undefined} />
        {other && <p className="note note-bad" role="alert">{t('rec.help.other')}</p>}
        <div className="buttons"><Button variant="default" disabled={card === undefined || asked === undefined || other || act.busy} onClick={look}>{t('rec.help.look')}</Button></div>
      </div>
      {error !== undefined && (error instanceof Problem && error.code === 'unknown' ? <p className="note note-bad" role="alert">{t('rec.help.unknown')}</p> : <Failure error={error} retry={look} />)}
      {status !== undefined && asked !== undefined && card !== undefined && <Say status={status} asked={asked} busy={act.busy} yes={() => approve(asked, card, status)} />}
    </>
  )
}

/** Say tells a guardian where it stands, and has her compare the key before she signs. */
function Say({ status, asked, busy, yes }: { readonly status: RecoveryPatient; readonly asked: Asked; readonly busy: boolean; readonly yes: () => void }) {
  const { t, time } = useText()
  const k = status.running.find((c) => c.terms.kind === 1)
  const of = k?.terms.keys[0]
  if (status.deceased !== 0n) return <p className="note">{t('rec.help.dead')}</p>
  if (k !== undefined && (of === undefined || k.terms.keys.length !== 1 || !sameKey(of, asked.key))) return <p className="note note-bad" role="alert">{t('rec.help.differs', { name: of === undefined ? '' : spoken(of) })}</p>
  if (k?.status === 2) return <p className="note note-good">{t('rec.help.done', { time: time(k.from) })}</p>
  return (
    <section className="card">
      <p>{k === undefined ? t('rec.help.first') : t('rec.help.next', { have: k.approvals.length, need: k.needed })}</p>
      <p><strong>{t('rec.help.compare', { name: spoken(asked.key) })}</strong></p>
      <div className="buttons"><Button disabled={busy} onClick={yes}>{t(k === undefined ? 'rec.help.ask' : 'rec.help.approve')}</Button></div>
    </section>
  )
}
