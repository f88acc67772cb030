import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useCallback, useState } from 'react'
import { Empty, Failure, Load } from '../app/part/load'
import { useText } from '../app/text/text'
import type { Chosen } from './Clinic'
import { entriesOf, nextOf, read, type Resource, str } from './fhir'
import { nameOf } from './line'

/** Patients lists who is known here, by the beginning of a name. */
export function Patients({ choose }: { readonly choose: (c: Chosen) => void }) {
  const { t } = useText()
  const [typed, setTyped] = useState('')
  const [asked, setAsked] = useState('')
  const fetchFirst = useCallback(
    (signal: AbortSignal) => read(`Patient?_count=20&_sort=family${asked === '' ? '' : `&name=${encodeURIComponent(asked)}`}`, undefined, signal).then((a) => a.body),
    [asked],
  )
  const submit = (e: FormEvent) => {
    e.preventDefault()
    setAsked(typed.trim())
  }
  return (
    <>
      <form role="search" className="clinic-row" onSubmit={submit}>
        <TextInput className="grow" label={t('clinic.search')} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} maxLength={100} autoComplete="off" />
        <Button type="submit" variant="default">{t('clinic.search.do')}</Button>
      </form>
      <Load key={asked} fetch={fetchFirst}>{(first) => <Pages first={first} choose={choose} />}</Load>
    </>
  )
}

function Pages({ first, choose }: { readonly first: Resource; readonly choose: (c: Chosen) => void }) {
  const { t } = useText()
  const [pages, setPages] = useState<readonly Resource[]>([first])
  const [error, setError] = useState<unknown>()
  const found = pages.flatMap(entriesOf).filter((r) => r['resourceType'] === 'Patient')
  const last = pages.at(-1)
  const next = last === undefined ? undefined : nextOf(last)
  if (found.length === 0) return <Empty title={t('clinic.none')}>{t('clinic.none.do')}</Empty>
  return (
    <>
      <ul className="lines">
        {found.map((p) => {
          const name = nameOf(p) || t('clinic.unnamed')
          const born = str(p['birthDate'])
          return (
            <li key={str(p['id'])} className="clinic-row">
              <div className="grow"><strong>{name}</strong>{born !== '' && <div className="facts">{t('clinic.born', { date: born })}</div>}</div>
              <Button size="xs" variant="default" aria-label={t('clinic.open.of', { name })} onClick={() => choose({ reference: `Patient/${str(p['id'])}`, name })}>{t('clinic.open')}</Button>
            </li>
          )
        })}
      </ul>
      {error !== undefined && <Failure error={error} />}
      {next !== undefined && <Button variant="default" onClick={() => { setError(undefined); read(next).then((a) => setPages((all) => [...all, a.body]), setError) }}>{t('clinic.more')}</Button>}
    </>
  )
}
