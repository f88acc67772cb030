import { Button, NativeSelect, useComputedColorScheme, useMantineColorScheme } from '@mantine/core'
import { type ReactNode, useRef } from 'react'
import { type Area, pathTo, type Route } from '../route'
import { useSession } from '../session'
import { useText } from '../text/text'
import { Standing, StandingContext, useAsked } from './Standing'

/** ViewLink is a view of an area that has several. */
export interface ViewLink {
  readonly view: string
  readonly title: string
}

/**
 * Shell is the page around every view: skip link, banner with the areas, the
 * views of the area, the main landmark, and the foot.
 */
export function Shell({ route, views, children }: { readonly route: Route; readonly views: readonly ViewLink[]; readonly children: ReactNode }) {
  const { t, language, languages, choose } = useText()
  const { about, info, leave } = useSession()
  const { setColorScheme } = useMantineColorScheme()
  const scheme = useComputedColorScheme('light')
  const standing = useAsked()
  const main = useRef<HTMLElement>(null)
  const areas: readonly (readonly [Area, string])[] = [
    ['patient', t('app.patient')], ['clinician', t('app.staff')], ['organisation', t('app.organisation')], ['network', t('app.network')],
  ]
  return (
    <div className="shell">
      <a className="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus() }}>{t('app.skip')}</a>
      <header className="banner">
        <a className="brand" href={pathTo('patient')}>{t('app.name')}</a>
        <nav aria-label={t('app.areas')}>
          {areas.map(([area, title]) => <a key={area} href={pathTo(area)} aria-current={route.area === area ? 'page' : undefined}>{title}</a>)}
        </nav>
        {info !== undefined && (
          <div className="who">
            <Button variant="default" size="xs" onClick={() => void leave('lock')}>{t('app.lock')}</Button>
            <Button variant="default" size="xs" onClick={() => void leave('out')}>{t('app.signOut')}</Button>
          </div>
        )}
      </header>
      {views.length > 0 && (
        <nav className="views" aria-label={t('app.views')}>
          {views.map((v) => <a key={v.view} href={pathTo(route.area ?? 'patient', v.view)} aria-current={route.view === v.view ? 'page' : undefined}>{v.title}</a>)}
        </nav>
      )}
      <Standing standing={standing} />
      <main id="main" ref={main} tabIndex={-1}><StandingContext value={standing}>{children}</StandingContext></main>
      <footer className="foot">
        <span>{t('app.at', { name: about.name })}</span>
        <NativeSelect size="xs" aria-label={t('app.language')} value={language} onChange={(e) => choose(e.currentTarget.value)} data={languages.map((l) => ({ value: l.code, label: l.name }))} />
        <Button variant="default" size="xs" onClick={() => setColorScheme(scheme === 'dark' ? 'light' : 'dark')}>{t(scheme === 'dark' ? 'app.scheme.light' : 'app.scheme.dark')}</Button>
      </footer>
    </div>
  )
}
