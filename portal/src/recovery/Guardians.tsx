import { Button, NativeSelect, Textarea } from '@mantine/core'
import { useState } from 'react'
import { accountText, equal, parseAccount, type RecoveryPatient } from '../core'
import { Empty } from '../app/part/load'
import { useSession } from '../app/session'
import { submit } from '../app/sign'
import { useText } from '../app/text/text'
import type { Acting } from '../grants/Act'
import { save } from '../looked/export'
import { type Card, cardFor, cardText, commitmentsOf, maxGuardians, minThreshold } from './guardian'

/** Guardians shows how many it takes, and lets a patient name them anew: first the cards, then her signature. */
export function Guardians({ status, account, act }: { readonly status: RecoveryPatient; readonly account: string; readonly act: Acting }) {
  const { t } = useText()
  const { about } = useSession()
  const [editing, setEditing] = useState(false)
  const { guardians } = status
  const some = guardians.threshold > 0
  const name = (threshold: number, cards: readonly Card[]) => {
    setEditing(false)
    act.run(async (step, signal) => {
      const c = await submit(about, account, 'recovery.guardians', { patient: parseAccount(account), version: guardians.version + 1n, threshold, commitments: cards.length === 0 ? [] : commitmentsOf(cards) }, step, signal)
      return t(cards.length === 0 ? 'rec.guardians.ended' : 'rec.guardians.named', { height: c.height })
    })
  }
  return (
    <section aria-labelledby="guardians">
      <h2 id="guardians">{t('rec.guardians')}</h2>
      <p className="hint">{t('rec.guardians.lead')}</p>
      {some ? <p className="note">{t('rec.guardians.some', { count: guardians.threshold, height: guardians.height })}</p> : <Empty title={t('rec.guardians.none')}>{t('rec.guardians.none.do')}</Empty>}
      {status.locked ? <p className="hint">{t('rec.locked')}</p> : editing ? <Form account={account} busy={act.busy} name={name} close={() => setEditing(false)} /> : (
        <div className="buttons">
          <Button variant="default" disabled={act.busy} onClick={() => setEditing(true)}>{t(some ? 'rec.guardians.change' : 'rec.guardians.choose')}</Button>
          {some && <Button variant="default" disabled={act.busy} onClick={() => name(0, [])}>{t('rec.guardians.end')}</Button>}
        </div>
      )}
      <p className="hint mono wrap">{t('rec.account', { account })}</p>
    </section>
  )
}

/** accountsIn reads one account a line; bad is the first line that is none, her own, or there twice. */
export function accountsIn(text: string, own: Uint8Array): { readonly accounts: readonly Uint8Array[]; readonly bad: number } {
  const accounts: Uint8Array[] = []
  let bad = 0
  text.split('\n').forEach((line, i) => {
    const s = line.trim().toLowerCase()
    if (s === '' || bad > 0) return
    try {
      const a = parseAccount(s)
      if (equal(a, own) || accounts.some((o) => equal(o, a))) bad = i + 1
      else accounts.push(a)
    } catch {
      bad = i + 1
    }
  })
  return { accounts, bad }
}

const numbers = (from: number): string[] => Array.from({ length: maxGuardians - from + 1 }, (_, i) => String(from + i))

interface FormProps {
  readonly account: string
  readonly busy: boolean
  name(threshold: number, cards: readonly Card[]): void
  close(): void
}

function Form({ account, busy, name, close }: FormProps) {
  const { t } = useText()
  const own = parseAccount(account)
  const [typed, setTyped] = useState('')
  const [paper, setPaper] = useState(0)
  const [threshold, setThreshold] = useState(minThreshold)
  const [cards, setCards] = useState<readonly Card[]>()
  const [saved, setSaved] = useState<ReadonlySet<number>>(new Set())
  const { accounts, bad } = accountsIn(typed, own)
  const total = accounts.length + paper
  const fits = bad === 0 && total >= minThreshold && total <= maxGuardians && threshold >= minThreshold && threshold <= total
  if (cards !== undefined) {
    return (
      <div className="card">
        <p>{t('rec.guardians.save')}</p>
        <ul className="lines">
          {cards.map((c, i) => (
            <li key={i} className="clinic-row">
              <div className="grow">
                {c.account !== undefined && <span className="mono wrap">{accountText(c.account)}</span>}
                {saved.has(i) && <> <span className="mark">{t('rec.guardians.saved')}</span></>}
              </div>
              <Button size="xs" variant="default" onClick={() => {
                save(`guardian-${i + 1}.json`, 'application/json', cardText(c))
                setSaved(new Set([...saved, i]))
              }}>{t('rec.guardians.card', { n: i + 1 })}</Button>
            </li>
          ))}
        </ul>
        <p className="hint">{t('rec.guardians.all')}</p>
        <div className="buttons">
          <Button disabled={busy || saved.size < cards.length} onClick={() => name(threshold, cards)}>{t('rec.guardians.sign')}</Button>
          <Button variant="default" onClick={close}>{t('act.cancel')}</Button>
        </div>
      </div>
    )
  }
  return (
    <form className="card" onSubmit={(e) => {
      e.preventDefault()
      if (fits) setCards([...accounts.map((a) => cardFor(own, a)), ...Array.from({ length: paper }, () => cardFor(own))])
    }}>
      <Textarea label={t('rec.guardians.accounts')} description={t('rec.guardians.accounts.hint')} rows={3} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} error={bad > 0 ? t('rec.guardians.accounts.bad', { line: bad }) : undefined} />
      <NativeSelect label={t('rec.guardians.paper')} description={t('rec.guardians.paper.hint')} value={paper} onChange={(e) => setPaper(Number(e.currentTarget.value))} data={numbers(0)} />
      <NativeSelect label={t('rec.guardians.threshold')} value={threshold} onChange={(e) => setThreshold(Number(e.currentTarget.value))} data={numbers(minThreshold)} />
      {!fits && bad === 0 && <p className="hint">{t('rec.guardians.few')}</p>}
      <div className="buttons">
        <Button type="submit" disabled={!fits}>{t('rec.guardians.cards')}</Button>
        <Button variant="default" onClick={close}>{t('act.cancel')}</Button>
      </div>
    </form>
  )
}
