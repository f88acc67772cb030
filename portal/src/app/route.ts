import { useSyncExternalStore } from 'react'

/**
 * Routes are the fragment of the address ("#/patient/looked"): the server never
 * sees which view a person looks at, and assets stay relative to the page.
 */
export type Area = 'patient' | 'clinician' | 'organisation' | 'network'
const areas: readonly string[] = ['patient', 'clinician', 'organisation', 'network'] satisfies Area[]

export interface Route {
  readonly area: Area | undefined
  readonly view: string
}

const subscribe = (f: () => void) => {
  window.addEventListener('hashchange', f)
  return () => window.removeEventListener('hashchange', f)
}

/** useRoute follows the address. Without a fragment it is the patient's area. */
export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash)
  const [area = '', view = ''] = hash.replace(/^#\/?/, '').split('?')[0]?.split('/') ?? []
  if (area === '') return { area: 'patient', view: '' }
  return { area: areas.includes(area) ? (area as Area) : undefined, view }
}

/** pathTo is the address of a view. */
export const pathTo = (area: Area, view = ''): string => (view === '' ? `#/${area}` : `#/${area}/${view}`)
