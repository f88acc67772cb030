import { createContext, type ReactNode, use, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { type About, getJSON, postJSON, Problem, remove, type SessionInfo } from './api'
import { Sittings } from './sitting'

/** How long nobody may touch the page before it locks: less than the server's own limit. */
const lockAfter = 5 * 60_000

/** How often the server is told that somebody touches the page. */
const tellEvery = 60_000

export interface Session {
  readonly about: About
  readonly info: SessionInfo | undefined
  /** the page locked itself, or was locked */
  readonly locked: boolean
  /** what a patient reads in; it dies with the session and when the page locks */
  readonly sittings: Sittings
  enter(info: SessionInfo): void
  /** ends the session here and at the server, whatever the server answers */
  leave(how: 'lock' | 'out'): Promise<void>
  /** the server says that there is no session any more */
  ended(): void
}

const Context = createContext<Session | null>(null)

/**
 * SessionProvider knows who is signed in. To lock is to sign out at the server
 * too and to unmount every view with what it had opened: nothing opened is kept
 * elsewhere.
 */
export function SessionProvider({ about, first, children }: { readonly about: About; readonly first: SessionInfo | undefined; readonly children: ReactNode }) {
  const [info, setInfo] = useState(first)
  const [locked, setLocked] = useState(false)
  const touched = useRef(0)
  const [sittings] = useState(() => new Sittings())
  const enter = useCallback((i: SessionInfo) => {
    sittings.drop()
    touched.current = Date.now()
    setLocked(false)
    setInfo(i)
  }, [sittings])
  const ended = useCallback(() => {
    sittings.drop()
    setInfo(undefined)
    setLocked(true)
  }, [sittings])
  const leave = useCallback(async (how: 'lock' | 'out') => {
    sittings.drop()
    setInfo(undefined)
    setLocked(how === 'lock')
    await remove('session').catch(() => undefined)
  }, [sittings])
  useEffect(() => {
    if (info === undefined) return
    touched.current = Date.now()
    // What the page fetches by itself keeps no session alive at the server; that somebody is there does.
    let told = Date.now()
    const touch = () => {
      touched.current = Date.now()
      if (touched.current - told < tellEvery) return
      told = touched.current
      postJSON('session', {}).catch((err: unknown) => {
        if (err instanceof Problem && err.code === 'session') ended()
      })
    }
    const limit = Math.min(lockAfter, info.idle * 1000)
    const timer = window.setInterval(() => {
      if (Date.now() - touched.current >= limit || Date.now() >= Date.parse(info.ends)) void leave('lock')
    }, 1000)
    const events = ['pointerdown', 'keydown', 'wheel', 'touchstart'] as const
    for (const e of events) window.addEventListener(e, touch, { passive: true })
    return () => {
      window.clearInterval(timer)
      for (const e of events) window.removeEventListener(e, touch)
    }
  }, [info, leave, ended])
  const value = useMemo<Session>(() => ({ about, info, locked, sittings, enter, leave, ended }), [about, info, locked, sittings, enter, leave, ended])
  return <Context value={value}>{children}</Context>
}

export function useSession(): Session {
  const s = use(Context)
  if (s === null) throw new Error('portal: no session provider')
  return s
}

/** current asks the server who is signed in; undefined for nobody. */
export async function current(): Promise<SessionInfo | undefined> {
  try {
    return await getJSON<SessionInfo>('session')
  } catch (err) {
    if (err instanceof Problem && err.code === 'session') return undefined
    throw err
  }
}
