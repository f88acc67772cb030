import { Button, NativeSelect, Textarea, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { Failure } from '../app/part/load'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { create } from './fhir'
import { type Draft, type Kind, missing, resourceOf } from './write'

const empty: Draft = { kind: 'note', title: '', text: '', value: '', unit: '', label: '' }
const kinds: readonly Kind[] = ['note', 'result', 'problem']
const labels = ['', 'R', 'PSY', 'SUD', 'HIV', 'SEX'] as const

type State = 'idle' | 'working' | 'active' | 'stored'

/** Add writes a note, a result or a problem, and shows how safe it is. */
export function Add({ patient, added }: { readonly patient: string; readonly added: () => void }) {
  const { t } = useText()
  const [draft, setDraft] = useState(empty)
  const [lack, setLack] = useState<ReturnType<typeof missing>>()
  const [state, setState] = useState<State>('idle')
  const [error, setError] = useState<unknown>()
  const set = (part: Partial<Draft>) => setDraft((d) => ({ ...d, ...part }))
  const send = async (e: FormEvent) => {
    e.preventDefault()
    const l = missing(draft)
    setLack(l)
    if (l !== undefined) return
    setError(undefined)
    setState('working')
    try {
      const a = await create(resourceOf(draft, patient, new Date().toISOString()))
      setState(a.status === 'active' ? 'active' : 'stored')
      setDraft({ ...empty, kind: draft.kind })
      added()
    } catch (err) {
      setError(err)
      setState('idle')
    }
  }
  const title: Key = draft.kind === 'note' ? 'clinic.add.title' : `clinic.add.title.${draft.kind}`
  return (
    <section aria-labelledby="add">
      <h2 id="add">{t('clinic.add')}</h2>
      <form className="card clinic-form" onSubmit={(e) => void send(e)} noValidate>
        <NativeSelect label={t('clinic.add.kind')} value={draft.kind} onChange={(e) => set({ kind: kinds.find((k) => k === e.currentTarget.value) ?? 'note' })} data={kinds.map((k) => ({ value: k, label: t(`clinic.add.${k}`) }))} />
        <TextInput label={t(title)} value={draft.title} onChange={(e) => set({ title: e.currentTarget.value })} error={lack === 'title' ? t('clinic.add.missing') : undefined} maxLength={200} />
        {draft.kind === 'result' && (
          <div className="clinic-row">
            <TextInput label={t('clinic.add.value')} inputMode="decimal" value={draft.value} onChange={(e) => set({ value: e.currentTarget.value })} error={lack === 'value' ? t('clinic.add.number') : undefined} maxLength={30} />
            <TextInput label={t('clinic.add.unit')} value={draft.unit} onChange={(e) => set({ unit: e.currentTarget.value })} maxLength={30} />
          </div>
        )}
        <Textarea label={t(draft.kind === 'note' ? 'clinic.add.text' : 'clinic.add.text.optional')} rows={5} value={draft.text} onChange={(e) => set({ text: e.currentTarget.value })} error={lack === 'text' ? t('clinic.add.missing') : undefined} maxLength={100_000} />
        <NativeSelect label={t('clinic.add.label')} description={t('clinic.add.label.hint')} value={draft.label} onChange={(e) => set({ label: e.currentTarget.value })} data={labels.map((l) => ({ value: l, label: t(`clinic.add.label.${l === '' ? 'none' : l}`) }))} />
        <Button type="submit" disabled={state === 'working'}>{t('clinic.add.do')}</Button>
        <div role="status">
          {state === 'working' && <><p>{t('clinic.add.working')}</p><progress aria-label={t('app.loading')} /></>}
          {state === 'active' && <p className="note note-good">{t('clinic.add.active')}</p>}
          {state === 'stored' && <p className="note">{t('clinic.add.stored')}</p>}
        </div>
        {error !== undefined && <Failure error={error} />}
      </form>
    </section>
  )
}
