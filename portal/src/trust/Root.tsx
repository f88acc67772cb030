import './trust.css'
import { Button, TextInput } from '@mantine/core'
import { createContext, type ReactNode, use, useEffect, useState } from 'react'
import { getBytes, getJSON, type Head } from '../app/api'
import { useText } from '../app/text/text'
import { keeper } from '../looked/keep'
import { age, compareFingerprints, type Followed, followHead, meet, type Root } from './pin'

type Good = Root & { readonly ok: true }
const Context = createContext<Good | null>(null)

/** learn fetches the portal's genesis and compares it with the one that this browser remembers. */
export const learn = async (chain: string): Promise<Root> => meet(await getBytes('genesis'), chain, keeper, Math.floor(Date.now() / 1000))

/** Rooted shows the portal only over a network that this browser has reason to believe; else it refuses, loudly. */
export function Rooted({ root, chain, children }: { readonly root: Root; readonly chain: string; readonly children: ReactNode }) {
  return root.ok ? <Context value={root}>{children}</Context> : <Broken root={root} chain={chain} />
}

function Broken({ root, chain }: { readonly root: Root & { ok: false }; readonly chain: string }) {
  const { t, time } = useText()
  const [same, setSame] = useState(false)
  return (
    <main className="alone">
      <div className="note note-bad" role="alert">
        <h1>{t('trust.broken')}</h1>
        <p>{t(`trust.broken.${root.fault}`, { chain, time: time(root.since) })}</p>
        <p><strong>{t('trust.broken.do')}</strong></p>
        <dl className="prints">
          {root.remembered !== undefined && <div><dt>{t('trust.broken.remembered')}</dt><dd className="mono">{root.remembered}</dd></div>}
          <div><dt>{t('trust.broken.shown')}</dt><dd className="mono">{root.shown}</dd></div>
        </dl>
      </div>
      {root.fault === 'changed' && (
        <section className="card" aria-label={t('trust.compare')}>
          <p className="hint">{t('trust.broken.new')}</p>
          <Compare shown={root.shown} onChange={setSame} />
          <Button variant="default" disabled={!same} onClick={() => void keeper.clear().then(() => window.location.reload())}>{t('trust.broken.forget')}</Button>
        </section>
      )}
    </main>
  )
}

/** Compare is the field for the fingerprint on paper. */
function Compare({ shown, onChange }: { readonly shown: string; readonly onChange?: (same: boolean) => void }) {
  const { t } = useText()
  const [typed, setTyped] = useState('')
  const { is, count } = compareFingerprints(typed, shown)
  return (
    <div className="compare">
      <TextInput label={t('trust.compare')} description={t('trust.compare.hint')} value={typed} autoComplete="off" spellCheck={false} classNames={{ input: 'mono' }}
        onChange={(e) => {
          setTyped(e.currentTarget.value)
          onChange?.(compareFingerprints(e.currentTarget.value, shown).is === 'same')
        }} />
      <p role="status" className={is === 'same' ? 'note note-good' : is === 'other' ? 'note note-bad' : 'hint'}>{is === 'empty' ? '' : t(`trust.compare.${is}`, { count })}</p>
    </div>
  )
}

/** Fingerprint says which network this is, for whoever signs up or in. */
export function Fingerprint() {
  const { t, time } = useText()
  const root = use(Context)
  if (root === null) return null
  return (
    <details className="note fingerprint" open={root.first}>
      <summary>{t('trust.title')}: <span className="mono">{root.shown}</span></summary>
      <p>{t('trust.lead')} <strong className="mono">{root.shown}</strong></p>
      <p>{root.first ? t('trust.first') : t('trust.same', { time: time(root.since) })}</p>
      <p className="hint">{t('trust.chain', { chain: root.chain })}</p>
      <Compare shown={root.shown} />
    </details>
  )
}

const source = {
  height: async () => BigInt((await getJSON<Head>('head')).height),
  header: (h: bigint) => getBytes(`headers/${h}`),
}

/** How old the newest block may be before the page says so, in seconds. */
const oldAfter = 15 * 60

/** Followed is the fingerprint, and how far this browser followed the chain from it. */
export function ChainState() {
  const text = useText()
  const { t, time } = text
  const root = use(Context)
  const genesis = root?.genesis
  const [at, setAt] = useState<{ readonly found: Followed; readonly now: number } | 'away'>()
  useEffect(() => {
    if (genesis === undefined) return
    let gone = false
    followHead(genesis, source, keeper).then(
      (found) => {
        if (!gone) setAt({ found, now: Date.now() / 1000 })
      },
      () => {
        if (!gone) setAt('away')
      },
    )
    return () => {
      gone = true
    }
  }, [genesis])
  let state: ReactNode
  if (at === undefined) state = <p className="hint" role="status">{t('trust.following')}</p>
  else if (at === 'away') state = <p className="note">{t('trust.away')}</p>
  else if (at.found.ok) {
    const seconds = at.now - Number(at.found.time)
    const a = age(seconds)
    state = (
      <>
        <p className="note note-good">{t('trust.head', { height: at.found.height, time: time(at.found.time), age: t(`trust.age.${a.unit}`, { n: a.n }), signed: at.found.signed, of: at.found.of })}</p>
        {seconds > oldAfter && <p className="note">{t('trust.old')}</p>}
      </>
    )
  } else if (at.found.fault === 'behind') state = <p className="note">{t('trust.behind', { height: at.found.height })}</p>
  else state = <div className="note note-bad" role="alert"><strong>{t('trust.red')}</strong><p>{t(`trust.red.${at.found.fault}`)}</p></div>
  return (
    <section className="root">
      <Fingerprint />
      {state}
    </section>
  )
}
