import '../clinic/clinic.css'
import { Button } from '@mantine/core'
import { useCallback, useState } from 'react'
import { type Block, getJSON, type Head, type Member } from '../app/api'
import { Empty, Load } from '../app/part/load'
import { Heading } from '../app/part/title'
import { en, type Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { ChainState } from '../trust/Root'
import { paceOf } from './pace'

interface Committee {
  readonly epoch: number
  readonly total: number
  readonly needed: number
  readonly members: readonly string[]
  readonly from: number
}
interface Tx {
  readonly kind: string
  readonly bytes: number
  /** this node knows how it went */
  readonly known: boolean
  readonly code: number
  readonly by: '' | 'member' | 'practitioner' | 'device' | 'patient'
  readonly of: string
}

const fetchNetwork = async (signal: AbortSignal) => {
  const [head, members, blocks, committee] = await Promise.all([getJSON<Head>('head', signal), getJSON<Member[]>('members', signal), getJSON<Block[]>('blocks', signal), getJSON<Committee>('committee', signal)])
  return { head, members, blocks, committee, names: new Map(members.map((m) => [m.account, m.name])) }
}
type Facts = Awaited<ReturnType<typeof fetchNetwork>>

/** Network is what everybody can see of the ledger, signed in or not. */
export function Network() {
  const { t } = useText()
  const [height, setHeight] = useState<number>()
  return (
    <>
      <Heading title={t('network.title')} lead={t('network.lead')} />
      <ChainState />
      <Load fetch={fetchNetwork} every={5}>{(facts) => <Tables facts={facts} height={height} look={setHeight} />}</Load>
    </>
  )
}

function Tables({ facts, height, look }: { readonly facts: Facts; readonly height: number | undefined; readonly look: (height: number) => void }) {
  const { t, time, language } = useText()
  const { head, members, blocks, committee, names } = facts
  const yes = (b: boolean) => t(b ? 'network.yes' : 'network.no')
  const pace = paceOf(blocks)
  return (
    <>
      <dl className="tiles">
        <div><dt>{t('network.height')}</dt><dd>{head.height}</dd></div>
        <div><dt>{t('network.time')}</dt><dd>{time(head.time)}</dd></div>
        <div><dt>{t('net.final')}</dt><dd>{pace === undefined ? t('net.final.none') : t('net.final.say', { median: new Intl.NumberFormat(language, { maximumFractionDigits: 2 }).format(pace.median), count: pace.count })}</dd></div>
        <div><dt>{t('network.hash')}</dt><dd className="mono">{head.appHash.slice(0, 16)}…</dd></div>
      </dl>
      <h2 id="members">{t('network.members')}</h2>
      <div className="scroll" role="region" aria-labelledby="members" tabIndex={0}>
        <table>
          <thead><tr><th scope="col">{t('network.member')}</th><th scope="col">{t('network.clinical')}</th><th scope="col">{t('network.validator')}</th><th scope="col">{t('network.active')}</th></tr></thead>
          <tbody>{members.map((m) => <tr key={m.account}><th scope="row">{m.name}</th><td>{yes(m.clinical)}</td><td>{yes(m.validator)}</td><td>{yes(m.active)}</td></tr>)}</tbody>
        </table>
      </div>
      <h2>{t('net.custodians')}</h2>
      <p>{t('net.custodians.say', { needed: committee.needed, total: committee.total, epoch: committee.epoch, height: committee.from })}</p>
      <ol>{committee.members.map((a) => <li key={a}>{names.get(a) ?? a}</li>)}</ol>
      <h2 id="blocks">{t('network.blocks')}</h2>
      <div className="scroll" role="region" aria-labelledby="blocks" tabIndex={0}>
        <table>
          <thead><tr><th scope="col">{t('looked.block')}</th><th scope="col">{t('network.time')}</th><th scope="col">{t('network.txs')}</th><th scope="col">{t('network.proposer')}</th></tr></thead>
          <tbody>
            {blocks.map((b) => (
              <tr key={b.height}>
                <th scope="row">{b.height}</th>
                <td>{time(Date.parse(b.time) / 1000)}</td>
                <td>{b.txs} {b.txs > 0 && <Button size="compact-xs" variant="default" aria-label={t('net.look', { height: b.height })} onClick={() => look(b.height)}>{t('net.look.do')}</Button>}</td>
                <td>{names.get(b.proposer) ?? b.proposer}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {height !== undefined && <Look key={height} height={height} names={names} />}
    </>
  )
}

/** Look shows a block's transactions: what everybody can see of each, beside what only key holders see. */
function Look({ height, names }: { readonly height: number; readonly names: ReadonlyMap<string, string> }) {
  const { t } = useText()
  const fetchTxs = useCallback((signal: AbortSignal) => getJSON<readonly Tx[]>(`blocks/${height}/txs`, signal), [height])
  const say = (side: 'kind' | 'hidden', kind: string) => {
    const key = `net.${side}.${kind}`
    if (key in en) return t(key as Key)
    return side === 'kind' ? t('net.other', { kind }) : t('net.other.hidden')
  }
  return (
    <section aria-live="polite" aria-labelledby="look">
      <h2 id="look">{t('net.block', { height })}</h2>
      <Load fetch={fetchTxs}>
        {(txs) =>
          txs.length === 0 ? <Empty title={t('net.block.empty')}>{t('net.block.empty.do')}</Empty> : txs.map((x, i) => (
            <div className="beside" key={i}>
              <div className="note">
                <h3>{t('net.everybody')}</h3>
                <p>{say('kind', x.kind)}</p>
                <ul>
                  <li>{t(x.by === '' ? 'net.by.unknown' : `net.by.${x.by}`, { member: names.get(x.of) ?? x.of })}</li>
                  <li>{!x.known ? t('net.outcome.unknown') : x.code === 0 ? t('net.took') : t('net.refused', { code: `0x${x.code.toString(16).padStart(4, '0')}` })}</li>
                  <li><span className="mono">{x.kind}</span>, {t('net.bytes', { count: x.bytes })}</li>
                </ul>
              </div>
              <div className="note">
                <h3>{t('net.holders')}</h3>
                <p>{say('hidden', x.kind)}</p>
              </div>
            </div>
          ))
        }
      </Load>
    </section>
  )
}
