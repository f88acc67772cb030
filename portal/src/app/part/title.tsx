import { Title } from '@mantine/core'
import { type ReactNode, useEffect, useRef } from 'react'
import { useText } from '../text/text'

/** Heading is a view's first line. It takes the focus when the view appears, so that a screen reader begins there. */
export function Heading({ title, lead, quiet }: { readonly title: string; readonly lead?: ReactNode; readonly quiet?: boolean }) {
  const text = useText()
  const at = useRef<HTMLHeadingElement>(null)
  const name = text.t('app.name')
  useEffect(() => {
    document.title = `${title} · ${name}`
  }, [title, name])
  useEffect(() => {
    if (quiet !== true) at.current?.focus({ preventScroll: true })
  }, [quiet])
  return (
    <header className="heading">
      <Title order={1} ref={at} tabIndex={-1}>{title}</Title>
      {lead !== undefined && <p className="lead">{lead}</p>}
    </header>
  )
}
