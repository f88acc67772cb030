import '../clinic/clinic.css'
import { Button } from '@mantine/core'
import { useCallback, useState } from 'react'
import { getJSON } from '../app/api'
import { Empty, Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { useSession } from '../app/session'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { Invite } from '../staff/Invite'
import { Import } from './Import'
import { privileges, Register } from './Register'

interface Status {
  readonly height: number
  readonly ready: boolean
  readonly why?: string
  readonly stored: number
  readonly outbox: number
}
interface Custody {
  readonly batches: number
  readonly wanted: number
  readonly releases: number
  readonly custodian: number
}
interface Vault {
  readonly Blobs: number
  readonly DiskBytes: number
  readonly Damaged: number
}
interface Practitioner {
  readonly name: string
  readonly account: string
  readonly registered: boolean
  readonly active: boolean
  readonly roles: readonly string[] | null
  readonly privileges: number
}
interface Named {
  readonly client_id?: string
  readonly client_name?: string
  readonly name?: string
  readonly state?: string
}

const fetchHealth = async (signal: AbortSignal) => {
  const [status, custody, vault] = await Promise.all([getJSON<Status>('admin/status', signal), getJSON<Custody>('admin/custody', signal), getJSON<Vault>('admin/vault', signal)])
  return { status, custody, vault }
}
const fetchServices = async (signal: AbortSignal) => {
  const [apps, feeds] = await Promise.all([getJSON<readonly Named[] | null>('admin/apps', signal), getJSON<readonly Named[] | null>('admin/feeds', signal).catch(() => null)])
  return { apps: apps ?? [], feeds: feeds ?? [] }
}

/** Organisation is the administrator's area. The ledger is asked at each request whether she still is one. */
export function Organisation() {
  const { t } = useText()
  const { info } = useSession()
  const [turn, setTurn] = useState(0)
  const fetchStaff = useCallback((signal: AbortSignal) => getJSON<readonly Practitioner[] | null>(`admin/staff?${turn}`, signal), [turn])
  if (info?.role !== 'admin') {
    return (
      <>
        <Heading title={t('app.organisation')} />
        <Empty title={t('staff.admin.only')}>{t('staff.admin.do')}</Empty>
        <Button component="a" href="/api/staff/start?purpose=HOPERAT" size="md">{t('staff.signIn')}</Button>
      </>
    )
  }
  return (
    <>
      <Heading title={t('staff.admin')} />
      <Load fetch={fetchHealth} every={10}>{(h) => <Health {...h} />}</Load>
      <h2 id="staff">{t('org.staff')}</h2>
      <Load fetch={fetchStaff}>{(list) => (
        <>
          <People list={list ?? []} />
          <Invite names={(list ?? []).filter((p) => p.active).map((p) => p.name)} />
        </>
      )}</Load>
      <h2>{t('org.register')}</h2>
      <Register registered={() => setTurn((n) => n + 1)} />
      <Import />
      <Load fetch={fetchServices}>
        {({ apps, feeds }) => (
          <>
            <h2>{t('org.apps')}</h2>
            {apps.length === 0 ? <p>{t('org.apps.empty')}</p> : <ul className="lines">{apps.map((a, i) => <li key={i}><strong>{a.client_name ?? a.client_id ?? a.name}</strong> <span className="mono">{a.client_id}</span></li>)}</ul>}
            <h2>{t('org.feeds')}</h2>
            {feeds.length === 0 ? <p>{t('org.feeds.empty')}</p> : <ul className="lines">{feeds.map((f, i) => <li key={i}><strong>{f.name}</strong> {f.state}</li>)}</ul>}
          </>
        )}
      </Load>
    </>
  )
}

function Health({ status, custody, vault }: { readonly status: Status; readonly custody: Custody; readonly vault: Vault }) {
  const { t, language } = useText()
  const number = new Intl.NumberFormat(language)
  const size = new Intl.NumberFormat(language, { style: 'unit', unit: 'megabyte', maximumFractionDigits: 1 })
  return (
    <>
      <p className={status.ready ? 'note note-good' : 'note note-bad'}>{status.ready ? t('staff.ready') : t('staff.notReady', { why: status.why ?? '' })}</p>
      <p className={vault.Damaged === 0 ? 'note note-good' : 'note note-bad'}>{vault.Damaged === 0 ? t('org.vault.good') : t('org.vault.bad', { count: vault.Damaged })}</p>
      <dl className="tiles">
        <div><dt>{t('org.height')}</dt><dd>{number.format(status.height)}</dd></div>
        <div><dt>{t('org.custody')}</dt><dd>{custody.custodian === 0 ? t('org.custody.none') : t('org.custody.index', { index: custody.custodian })}</dd></div>
        <div><dt>{t('org.batches')}</dt><dd>{number.format(custody.batches)}</dd></div>
        <div><dt>{t('org.wanted')}</dt><dd>{number.format(custody.wanted)}</dd></div>
        <div><dt>{t('org.releases')}</dt><dd>{number.format(custody.releases)}</dd></div>
        <div><dt>{t('org.vault.blobs')}</dt><dd>{number.format(vault.Blobs)}</dd></div>
        <div><dt>{t('org.vault.disk')}</dt><dd>{size.format(vault.DiskBytes / 1e6)}</dd></div>
      </dl>
      <p>{t('staff.outbox', { count: status.outbox, stored: status.stored })}</p>
    </>
  )
}

function People({ list }: { readonly list: readonly Practitioner[] }) {
  const { t } = useText()
  if (list.length === 0) return <Empty title={t('org.staff.empty')}>{t('org.staff.empty.do')}</Empty>
  return (
    <div className="scroll" role="region" aria-labelledby="staff" tabIndex={0}>
      <table>
        <thead><tr><th scope="col">{t('org.name')}</th><th scope="col">{t('org.roles')}</th><th scope="col">{t('org.privileges')}</th><th scope="col">{t('org.state')}</th><th scope="col">{t('org.account')}</th></tr></thead>
        <tbody>
          {list.map((p) => (
            <tr key={p.name}>
              <th scope="row">{p.name}</th>
              <td>{(p.roles ?? []).join(', ')}</td>
              <td>{privileges.filter((b) => (p.privileges & b) !== 0).map((b) => t(`org.priv.${b}` as Key)).join(', ')}</td>
              <td>{t(!p.registered ? 'org.state.not' : p.active ? 'org.state.active' : 'org.state.off')}</td>
              <td className="mono">{p.account.slice(0, 8)}…</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
