import { Button } from '@mantine/core'
import { useEffect, useMemo, useState } from 'react'
import { Empty } from '../../app/part/load'
import { useText } from '../../app/text/text'
import type { Chart } from '../model/chart.ts'
import { type Attachment, documentsOf } from '../model/documents.ts'
import { clean } from '../model/value.ts'
import { type Names, Sealed, useTitle, WhenOf } from './parts'

/** Documents lists what is attached; nothing is decoded before it is asked for. */
export function Documents({ chart, names }: { readonly chart: Chart; readonly names: Names }) {
  const { t } = useText()
  const title = useTitle()
  const list = useMemo(() => documentsOf(chart), [chart])
  return (
    <section aria-label={t('record.documents')}>
      <h2>{t('record.documents')}</h2>
      {list.length === 0 ? <Empty title={t('record.documents.empty')}>{t('record.documents.empty.do')}</Empty> : (
        <ul className="lines" aria-label={t('record.documents')}>
          {list.map((d) => (
            <li key={d.item.source.key}>
              <div className="line-top"><strong>{title(d.item)}</strong><WhenOf item={d.item} /></div>
              <div className="facts"><Sealed item={d.item} names={names} />{d.item.wrong && <span className="mark mark-bad">{t('record.wrong')}</span>}</div>
              {d.attachments.map((a, i) => <One key={i} attachment={a} name={a.title || title(d.item)} />)}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function One({ attachment: a, name }: { readonly attachment: Attachment; readonly name: string }) {
  const { t } = useText()
  const [open, setOpen] = useState(false)
  if (a.state !== 'here') return <p className="hint">{t(`record.documents.${a.state}`, { where: a.where || '–', type: a.type })}</p>
  return (
    <div className="attachment">
      <span>{name} <span className="hint">({a.type}, {Math.ceil(a.size / 1024)} kB)</span></span>
      {a.media !== 'pdf' && <Button size="xs" variant="default" aria-expanded={open} aria-label={`${t(open ? 'record.documents.hide' : 'record.documents.show')}: ${name}`} onClick={() => setOpen(!open)}>{t(open ? 'record.documents.hide' : 'record.documents.show')}</Button>}
      <Button size="xs" variant="default" aria-label={`${t('record.documents.save')}: ${name}`} onClick={() => save([a.bytes()], a.type, `${fileName(name)}.${ends[a.type] ?? 'bin'}`)}>{t('record.documents.save')}</Button>
      {open && (a.media === 'image' ? <Picture bytes={a.bytes} type={a.type} label={t('record.documents.image', { title: name })} /> : <pre className="source" tabIndex={0} role="group" aria-label={name}>{clean(new TextDecoder().decode(a.bytes()))}</pre>)}
    </div>
  )
}

const ends: Readonly<Record<string, string>> = { 'text/plain': 'txt', 'application/pdf': 'pdf', 'image/png': 'png', 'image/jpeg': 'jpg', 'image/gif': 'gif', 'image/webp': 'webp' }
const fileName = (s: string): string => s.normalize('NFKD').replace(/[^A-Za-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 60) || 'document'

function Picture({ bytes, type, label }: { readonly bytes: () => Uint8Array<ArrayBuffer>; readonly type: string; readonly label: string }) {
  const [url, setUrl] = useState<string>()
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([bytes()], { type }))
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [bytes, type])
  return url === undefined ? null : <img className="picture" src={url} alt={label} />
}

/** save hands the browser a file; its address ends at once. */
export function save(parts: Uint8Array<ArrayBuffer>[], type: string, name: string): void {
  const url = URL.createObjectURL(new Blob(parts, { type }))
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
