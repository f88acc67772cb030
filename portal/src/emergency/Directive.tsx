import { Button, Checkbox } from '@mantine/core'
import { useCallback, useState } from 'react'
import { type Directive, emergencyLabel, equal, labelsIn, parseAccount, type SlotMap } from '../core'
import { postJSON } from '../app/api'
import { Empty, Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import { submit } from '../app/sign'
import { type Text, useText } from '../app/text/text'
import { type Acting, Progress, useAct } from '../grants/Act'
import { openOwn } from '../grants/open'
import { allLabels, labelText } from '../grants/sentence'
import { closesSummary, directive, directiveOf, notesLabel } from './case'

/** EmergencyDirective is where a patient says what an emergency may open of hers. */
export function EmergencyDirective() {
  const { t } = useText()
  const { info } = useSession()
  const account = info?.account ?? ''
  const [turn, setTurn] = useState(0)
  const act = useAct()
  const fetch = useCallback((signal: AbortSignal) => {
    void turn
    return directiveOf(account, signal)
  }, [account, turn])
  return (
    <>
      <Heading title={t('eme.set.title')} lead={t('eme.set.lead')} />
      <Progress act={act} />
      <Load fetch={fetch}>{(d) => <Set d={d} account={account} act={act} changed={() => setTurn((n) => n + 1)} />}</Load>
    </>
  )
}

const words = (labels: readonly string[], text: Text): string => {
  const named = [...(labels.includes(emergencyLabel) ? [text.t('eme.set.summary')] : []), ...allLabels.filter((l) => labels.includes(l)).map((l) => labelText(l, text))]
  return named.length === 0 ? text.t('eme.set.nothing') : new Intl.ListFormat(text.language).format(named)
}

function Set({ d, account, act, changed }: { readonly d: Directive; readonly account: string; readonly act: Acting; readonly changed: () => void }) {
  const text = useText()
  const { t } = text
  const { about, sittings } = useSession()
  const [slots, setSlots] = useState<SlotMap>()
  const open = () => act.run(async (step, signal) => {
    const own = await openOwn(about, account, sittings, step, signal)
    if (own === undefined) {
      await postJSON('slots', {})
      return t('grants.map.none')
    }
    setSlots(own.slots)
    return t('grants.map.open', { count: own.entries.length - 1 })
  })
  const set = (without: readonly string[]) => act.run(async (step, signal) => {
    if (slots === undefined) return ''
    const c = await submit(about, account, 'emergency.directive', { patient: parseAccount(account), version: d.version + 1n, ...directive(slots, without) }, step, signal)
    changed()
    return t('eme.set.done', { height: c.height })
  })
  return (
    <>
      {d.version === 0n ? <Empty title={t('eme.set.none')}>{t('eme.set.none.do')}</Empty> : <p>{t(equal(d.by, parseAccount(account)) ? 'eme.set.by.you' : 'eme.set.by.steward', { height: d.height })}</p>}
      {slots === undefined ? (
        <div className="note">
          <strong>{t('grants.map')}</strong>
          <p>{t('eme.set.open')}</p>
          <Button disabled={act.busy} onClick={open}>{t('grants.map.do')}</Button>
        </div>
      ) : <Form d={d} slots={slots} busy={act.busy} set={set} />}
    </>
  )
}

function Form({ d, slots, busy, set }: { readonly d: Directive; readonly slots: SlotMap; readonly busy: boolean; readonly set: (without: readonly string[]) => void }) {
  const text = useText()
  const { t } = text
  const never = labelsIn(slots, d.except)
  const [without, setWithout] = useState<readonly string[]>(never.filter((l) => l !== notesLabel && allLabels.includes(l)))
  const first = labelsIn(slots, d.set & ~d.except)
  const second = labelsIn(slots, (d.set | d.more) & ~d.except).filter((l) => !first.includes(l))
  return (
    <>
      {d.version !== 0n && (
        <dl className="pairs">
          <div><dt>{t('eme.set.first')}</dt><dd>{words(first, text)}</dd></div>
          <div><dt>{t('eme.set.second')}</dt><dd>{words(second, text)}</dd></div>
          <div><dt>{t('eme.set.never')}</dt><dd>{words(never, text)}</dd></div>
        </dl>
      )}
      <fieldset className="card">
        <legend>{t('eme.set.exclude')}</legend>
        <p className="hint">{t('eme.set.exclude.hint')}</p>
        <div className="ticks">
          {allLabels.filter((l) => l !== notesLabel && slots.labels.includes(l)).map((l) => (
            <Checkbox key={l} label={labelText(l, text)} checked={without.includes(l)} onChange={(e) => setWithout(e.currentTarget.checked ? [...without, l] : without.filter((o) => o !== l))} />
          ))}
        </div>
        {without.some(closesSummary) && <p className="note">{t('eme.set.summary.gone')}</p>}
        <div className="buttons"><Button disabled={busy} onClick={() => set(without)}>{t('eme.set.sign')}</Button></div>
      </fieldset>
    </>
  )
}
