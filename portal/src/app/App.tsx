import './app.css'
import { MantineProvider } from '@mantine/core'
import { lazy, type ReactNode, Suspense, useEffect, useState } from 'react'
import { type About, getJSON, type SessionInfo } from './api'
import { Empty, sentence } from './part/load'
import { Heading } from './part/title'
import { Claim } from '../claim/Claim'
import { learn, Rooted } from '../trust/Root'
import type { Root } from '../trust/pin'
import { useRoute } from './route'
import { current, SessionProvider, useSession } from './session'
import { Shell, type ViewLink } from './shell/Shell'
import { TextProvider, useText } from './text/text'
import { Enter } from './view/enter/Enter'
import { Grants } from '../grants/Grants'
import { Looked } from '../looked/Looked'
import { News, NewsBar } from '../looked/News'
import { Network } from '../network/Network'

/** Record comes when it is first shown: who only looks at her log need not load it. */
const Record = lazy(async () => ({ default: (await import('../record/Record')).Record }))
/** Devices come when they are looked at: most days nobody does. */
const Devices = lazy(async () => ({ default: (await import('../grants/Devices')).Devices }))
const Recover = lazy(async () => ({ default: (await import('../recovery/Recover')).Recover }))
const EmergencyDirective = lazy(async () => ({ default: (await import('../emergency/Directive')).EmergencyDirective }))
const Erasure = lazy(async () => ({ default: (await import('../erasure/Erasure')).Erasure }))
const Duties = lazy(async () => ({ default: (await import('../duty/Duties')).Duties }))
const ActFor = lazy(async () => ({ default: (await import('../recovery/Acting')).ActFor }))
const Keys = lazy(async () => ({ default: (await import('../staff/Keys')).Keys }))
const Help = lazy(async () => ({ default: (await import('../recovery/Help')).Help }))
/** What patients do not need at all comes when it is asked for. */
const Clinic = lazy(async () => ({ default: (await import('../clinic/Clinic')).Clinic }))
const Organisation = lazy(async () => ({ default: (await import('../organisation/Organisation')).Organisation }))

/**
 * App is the portal's user interface over core and the gateway's API.
 *
 *   api.ts      calls of /api, one error type with stable codes
 *   wallet.ts   passkey ceremonies
 *   session.tsx who is signed in; locks after idleness
 *   route.ts    the address's fragment
 *   text/       every string, a file for each language
 *   shell/      landmarks, navigation
 *   part/       what views share: Load, Failure, Empty, Heading
 *   view/x/     one folder for each view
 *
 * A view is a component that renders a Heading and then what it loads by Load;
 * it gets a line in Page below and its strings in text/. What it opened
 * stays in its own state, which ends when it is unmounted: the page locks by
 * unmounting. Nothing that is decrypted goes into storage, a title, or an
 * address.
 *
 * Mantine puts no style element into the page: its variables and classes come
 * from the stylesheet, because the policy allows no inline style. So nothing
 * that injects one may be used: AppShell, responsive style props, hiddenFrom,
 * and Modal or Drawer without removeScrollProps.enabled false.
 */
export function App() {
  return (
    <MantineProvider defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <TextProvider>
        <Start />
      </TextProvider>
    </MantineProvider>
  )
}

/** Start learns which portal this is and who is signed in. */
function Start() {
  const text = useText()
  const [state, setState] = useState<{ about: About; info: SessionInfo | undefined; root: Root }>()
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    const about = getJSON<About>('about')
    Promise.all([about, current(), about.then((a) => learn(a.chain))]).then(([about, info, root]) => setState({ about, info, root }), setError)
  }, [])
  if (error !== undefined) {
    return <main className="alone"><div className="note note-bad" role="alert"><strong>{text.t('error.title')}</strong><p>{sentence(error, text)}</p></div></main>
  }
  if (state === undefined) return <main className="alone"><p role="status">{text.t('app.loading')}</p></main>
  return (
    <Rooted root={state.root} chain={state.about.chain}>
      <SessionProvider about={state.about} first={state.info}>
        <Page />
      </SessionProvider>
    </Rooted>
  )
}

function Page() {
  const route = useRoute()
  const { t } = useText()
  const { info } = useSession()
  const patient: readonly ViewLink[] = [{ view: 'record', title: t('record.title') }, { view: 'looked', title: t('looked.title') }, { view: 'grants', title: t('grants.title') }, { view: 'news', title: t('news.title') }, { view: 'emergency', title: t('eme.title') }, { view: 'devices', title: t('devices.title') }, { view: 'erasure', title: t('era.title') }]
  const staff: readonly ViewLink[] = [{ view: '', title: t('clinic.title') }, { view: 'duties', title: t('duty.title') }, { view: 'passkeys', title: t('staff.key.title') }]
  switch (route.area) {
    case 'patient': {
      if (route.view === 'claim') return <Shell route={route} views={[]}><Claim /></Shell>
      if (route.view === 'recover') return <Shell route={route} views={[]}><Later><Recover /></Later></Shell>
      if (info?.role !== 'patient') return <Shell route={route} views={[]}><Enter /></Shell>
      const view = route.view === '' ? 'looked' : route.view
      return <Shell route={{ ...route, view }} views={patient}><NewsBar account={info.account} quiet={view === 'news'} /><Later>{view === 'record' ? <Record /> : view === 'guardian' ? <Help /> : view === 'acting' ? <ActFor /> : view === 'emergency' ? <EmergencyDirective /> : view === 'erasure' ? <Erasure /> : view === 'looked' ? <Looked /> : view === 'grants' ? <Grants /> : view === 'news' ? <News /> : view === 'devices' ? <Devices /> : <Nowhere />}</Later></Shell>
    }
    case 'clinician':
      if (info === undefined || info.role === 'patient' || info.role === 'newcomer') return <Shell route={route} views={[]}><Later><Clinic /></Later></Shell>
      return <Shell route={route} views={staff}><Later>{route.view === 'duties' ? <Duties /> : route.view === 'passkeys' ? <Keys /> : <Clinic />}</Later></Shell>
    case 'organisation':
      return <Shell route={route} views={[]}><Later><Organisation /></Later></Shell>
    case 'network':
      return <Shell route={route} views={[]}><Network /></Shell>
    default:
      return <Shell route={route} views={[]}><Nowhere /></Shell>
  }
}

/** Later waits for a view that comes when it is shown. */
function Later({ children }: { readonly children: ReactNode }) {
  const { t } = useText()
  return <Suspense fallback={<p role="status">{t('app.loading')}</p>}>{children}</Suspense>
}

function Nowhere() {
  const { t } = useText()
  return (
    <>
      <Heading title={t('app.unknown')} />
      <Empty title={t('app.areas')}>{t('app.unknown.do')}</Empty>
    </>
  )
}
