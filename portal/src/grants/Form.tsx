import { Button, Checkbox, NativeSelect, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { accountText, type Grant, isZero, parseAccount, type Standing } from '../core'
import { Failure } from '../app/part/load'
import { useText } from '../app/text/text'
import { day, laterOf, type Later, widens, withLater } from './cooling'
import type { Found } from './Grants'
import type { Own } from './open'
import { Seen } from './Seen'
import { allLabels, grantSentence, grantable, kindLabels, kindsOf, labelText, purposesIn, sensitiveLabels } from './sentence'
import { grantOf, type Wish, wishOf } from './wish'

/** The purposes that the form offers beside those that a consent has already. */
const offered = [1, 4, 2, 3, 9, 11, 14, 16]
const periods = ['1', '7', '30', '365', '0'] as const
const none = new Uint8Array(16)

interface FormProps {
  readonly found: Found
  readonly own: Own | undefined
  readonly before: Standing | undefined
  readonly patient: Uint8Array
  /** whether what widens begins a day later */
  readonly cooling: boolean
  give(later: Later, nobodyElse: boolean): void
  close(): void
}

const fresh = (own: Own | undefined, first: string | undefined): Wish => ({
  grantee: { kind: 3, account: first === undefined ? none : parseAccount(first), role: '' }, purposes: 2n, notBefore: 0n, notAfter: 0n, uses: 0,
  allowed: own === undefined ? undefined : kindLabels.filter((l) => grantable(own.slots).includes(l)), denied: [],
})

/** Form is a consent being written: its sentence and what its reader would get stand below it as it changes. */
export function Form({ found, own, before, patient, cooling, give, close }: FormProps) {
  const text = useText()
  const { t, purpose, time } = text
  const clinical = found.members.filter((m) => m.clinical && m.active)
  const [wish, setWish] = useState<Wish>(() => (before === undefined ? fresh(own, clinical[0]?.account) : wishOf(before.grant, own?.slots)))
  const [person, setPerson] = useState(before?.grant.grantee.kind === 4 ? accountText(before.grant.grantee.account) : '')
  const [period, setPeriod] = useState(before === undefined ? '365' : 'keep')
  const [nobodyElse, setNobodyElse] = useState(false)
  const [error, setError] = useState<unknown>()
  const now = BigInt(Math.floor(Date.now() / 1000))
  const { grantee } = wish
  const end = period === 'keep' ? wish.notAfter : period === '0' ? 0n : now + BigInt(period) * day
  const full = (): Wish => ({ ...wish, notAfter: end, grantee: grantee.kind === 4 ? { ...grantee, account: parseAccount(person.trim()) } : grantee })
  let grant: Grant | undefined
  try {
    if (wish.purposes !== 0n) grant = grantOf(full(), own?.slots, before?.grant)
  } catch {
    grant = undefined // a person's account that is not one yet
  }
  const standing = nobodyElse ? { ...found.all, grants: [] } : found.all
  const start = now + day
  const wide = (g: Grant) => cooling && widens(standing, g, patient, own?.slots, now)
  // A period that was chosen counts from where the consent begins.
  const put = (g: Grant): Later | undefined => laterOf(standing, period === 'keep' || period === '0' ? g : { ...g, notAfter: g.notAfter + day }, patient, own?.slots, start, now)
  const waits = grant !== undefined && wide(grant)
  const later = grant !== undefined && waits ? put(grant) : undefined
  const shown = later?.grant ?? grant
  const submit = (e: FormEvent) => {
    e.preventDefault()
    try {
      const g = grantOf(full(), own?.slots, before?.grant)
      const l = wide(g) ? put(g) : { grant: g, meanwhile: undefined }
      if (l !== undefined) give(l, nobodyElse)
    } catch (err) {
      setError(err)
    }
  }
  const toggle = (label: string, on: boolean) => setWish({ ...wish, allowed: allLabels.filter((l) => (l === label ? on : (wish.allowed ?? []).includes(l))), denied: wish.denied.filter((l) => l !== label || !on) })
  const deny = (label: string, on: boolean) => setWish({ ...wish, denied: allLabels.filter((l) => (l === label ? on : wish.denied.includes(l))), allowed: (wish.allowed ?? []).filter((l) => l !== label || !on) })
  const kind = grantee.kind === 2 ? (isZero(grantee.account) ? '2' : '2m') : String(grantee.kind)
  const known = own === undefined ? [] : grantable(own.slots)
  const kinds = grant === undefined ? undefined : kindsOf(grant, own?.slots, text)
  const listed = [...new Set([...offered, ...purposesIn(wish.purposes)])]
  return (
    <form onSubmit={submit} className="form">
      <h2>{t(before === undefined ? 'grants.new' : 'grants.change')}</h2>
      <fieldset disabled={before !== undefined}>
        <legend>{t('form.who')}</legend>
        <NativeSelect label={t('form.kind')} value={kind} onChange={(e) => {
          const v = e.currentTarget.value
          const account = v === '3' || v === '2m' ? parseAccount(clinical[0]?.account ?? accountText(none)) : none
          setWish({ ...wish, grantee: { kind: Number(v[0]), account, role: v.startsWith('2') ? grantee.role : '' } })
        }} data={[{ value: '3', label: t('form.kind.3') }, { value: '4', label: t('form.kind.4') }, { value: '2m', label: t('form.kind.2m') }, { value: '2', label: t('form.kind.2') }, { value: '1', label: t('form.kind.1') }]} />
        {(kind === '3' || kind === '2m') && <NativeSelect label={t('form.member')} value={accountText(grantee.account)} onChange={(e) => setWish({ ...wish, grantee: { ...grantee, account: parseAccount(e.currentTarget.value) } })} data={found.members.filter((m) => m.active).map((m) => ({ value: m.account, label: m.name }))} />}
        {kind.startsWith('2') && <TextInput label={t('form.role')} description={t('form.role.hint')} required maxLength={64} pattern="[A-Za-z0-9._\|:\/\-]+" value={grantee.role} onChange={(e) => setWish({ ...wish, grantee: { ...grantee, role: e.currentTarget.value } })} />}
        {kind === '4' && <TextInput label={t('form.person')} description={t('form.person.hint')} required pattern="\s*[0-7][0-9a-hjkmnp-tv-z]{25}\s*" value={person} onChange={(e) => setPerson(e.currentTarget.value)} />}
        {before === undefined && found.all.grants.length > 0 && <Checkbox label={t('form.nobodyElse')} checked={nobodyElse} onChange={(e) => setNobodyElse(e.currentTarget.checked)} />}
      </fieldset>
      <fieldset>
        <legend>{t('form.purpose')}</legend>
        {listed.map((n) => {
          const b = 1n << BigInt(n)
          return <Checkbox key={n} label={purpose(n)} checked={(wish.purposes & b) !== 0n} onChange={(e) => setWish({ ...wish, purposes: e.currentTarget.checked ? wish.purposes | b : wish.purposes & ~b })} />
        })}
        <p className="hint">{t('form.purpose.hint')}</p>
      </fieldset>
      <fieldset>
        <legend>{t('form.kinds')}</legend>
        {own === undefined ? <p className="hint">{t('form.kinds.closed')}</p> : (
          <>
            <div className="checks">{kindLabels.filter((l) => known.includes(l)).map((l) => <Checkbox key={l} label={labelText(l, text)} checked={(wish.allowed ?? []).includes(l)} onChange={(e) => toggle(l, e.currentTarget.checked)} />)}</div>
            <h3>{t('form.sensitive')}</h3>
            <p className="hint">{t('form.sensitive.hint')}</p>
            {sensitiveLabels.filter((l) => known.includes(l)).map((l) => (
              <div key={l} className="sensitive">
                <Checkbox label={labelText(l, text)} description={t(`label.${l}.what`)} checked={(wish.allowed ?? []).includes(l)} onChange={(e) => toggle(l, e.currentTarget.checked)} />
                {!(wish.allowed ?? []).includes(l) && <Checkbox size="xs" label={t('form.deny')} aria-label={t('form.deny.of', { kind: labelText(l, text) })} checked={wish.denied.includes(l)} onChange={(e) => deny(l, e.currentTarget.checked)} />}
              </div>
            ))}
          </>
        )}
      </fieldset>
      <fieldset>
        <legend>{t('form.until')}</legend>
        <NativeSelect label={t('form.period')} value={period} onChange={(e) => setPeriod(e.currentTarget.value)}
          data={[...(before === undefined ? [] : [{ value: 'keep', label: t('form.period.keep') }]), ...periods.map((p) => ({ value: p, label: t(`form.period.${p}`) }))]} />
        <Checkbox label={t('form.once')} checked={wish.uses === 1} onChange={(e) => setWish({ ...wish, uses: e.currentTarget.checked ? 1 : 0 })} />
      </fieldset>
      {grant !== undefined && shown !== undefined && (
        <section className="note" aria-label={t('form.says')}>
          <strong>{t('form.says')}</strong>
          <p>{grantSentence(shown, found.names, now, text)}</p>
          {nobodyElse && <p>{t('form.others')}</p>}
          {later !== undefined && <p>{t('cool.later', { time: time(shown.notBefore) })}{(nobodyElse || later.meanwhile !== undefined) && ` ${t('cool.meanwhile')}`}</p>}
          {later === undefined && waits && <p>{t('cool.not')}</p>}
          {kinds !== undefined && <p>{kinds.allowed} {kinds.denied}</p>}
          {own !== undefined && (
            <Seen own={own} patient={patient} now={now} from={later === undefined ? now : shown.notBefore} grantee={grant.grantee} purposes={purposesIn(grant.purposes)} members={found.members} others={found.others}
              before={found.all} after={withLater(standing, grant.id, later ?? { grant, meanwhile: undefined }, patient)} />
          )}
        </section>
      )}
      {error !== undefined && <Failure error={error} />}
      <p className="hint">{t(later !== undefined ? 'cool.sign' : nobodyElse ? 'form.sign.others' : 'form.sign')}</p>
      <div className="buttons">
        <Button type="submit" disabled={grant === undefined || (waits && later === undefined)}>{t('form.give')}</Button>
        <Button variant="default" onClick={close}>{t('act.cancel')}</Button>
      </div>
    </form>
  )
}
