import { Button, TextInput } from '@mantine/core'
import { type DragEvent, type FormEvent, useEffect, useRef, useState } from 'react'
import { Failure } from '../app/part/load'
import { useText } from '../app/text/text'
import { type Complaint, complaints, type Counts, formatOf, importFile, mostMiB, type Report, type Taken, takeIn } from './intake'

const fhirLines = (r: Report): Complaint[] =>
  (r.rejected ?? []).map((x) => ({ at: String(x.index + 1), what: x.type ?? '', where: x.issue?.expression ?? '', why: x.issue === null ? '' : `${x.issue.text} (${x.issue.code})` }))

/**
 * Import takes FHIR, a C-CDA document, or a table with its mapping, by drag and drop or by choice;
 * shows how far it is, can be cancelled, and reports everything that was not taken.
 */
export function Import() {
  const { t } = useText()
  const [over, setOver] = useState(false)
  const [file, setFile] = useState<File>()
  const [table, setTable] = useState<File>()
  const [mapping, setMapping] = useState('')
  const [counts, setCounts] = useState<Counts>()
  const [report, setReport] = useState<Report>()
  const [taken, setTaken] = useState<Taken>()
  const [cancelled, setCancelled] = useState(false)
  const [large, setLarge] = useState<number>()
  const [error, setError] = useState<unknown>()
  const stop = useRef<AbortController>(undefined)
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => () => stop.current?.abort(), [])
  const run = async (f: File, by: File | string) => {
    const c = new AbortController()
    stop.current = c
    setFile(f)
    const format = formatOf(f.name)
    try {
      if (format === 'ccda' || format === 'csv') setTaken(await takeIn(f, format, by, c.signal))
      else setReport(await importFile(f, c.signal, setCounts))
    } catch (err) {
      if (c.signal.aborted) setCancelled(true)
      else setError(err)
    }
    setFile(undefined)
  }
  const take = (files: readonly File[]) => {
    const by = files.find((f) => formatOf(f.name) === 'mapping')
    const f = files.find((x) => x !== by)
    if (file !== undefined) return
    setReport(undefined)
    setTaken(undefined)
    setError(undefined)
    setCancelled(false)
    setCounts(undefined)
    const most = f === undefined ? 0 : mostMiB(formatOf(f.name))
    const over = f !== undefined && f.size > most * 2 ** 20
    setLarge(over ? most : undefined)
    if (over) return
    if (by !== undefined) { // with the table, or after it
      const of = f ?? table
      setTable(undefined)
      if (of !== undefined) void run(of, by)
      return
    }
    setTable(f !== undefined && formatOf(f.name) === 'csv' ? f : undefined)
    if (f !== undefined && formatOf(f.name) !== 'csv') void run(f, '')
  }
  const drop = (e: DragEvent) => {
    e.preventDefault()
    setOver(false)
    take([...e.dataTransfer.files])
  }
  const named = (e: FormEvent) => {
    e.preventDefault()
    if (table === undefined || mapping.trim() === '') return
    setTable(undefined)
    void run(table, mapping.trim())
  }
  const lines = report !== undefined ? fhirLines(report) : taken !== undefined ? complaints(taken) : []
  const good = lines.length === 0 ? 'note note-good' : 'note'
  return (
    <section aria-labelledby="import">
      <h2 id="import">{t('org.import')}</h2>
      <div className={over ? 'drop drop-over' : 'drop'} onDragOver={(e) => { e.preventDefault(); setOver(true) }} onDragLeave={() => setOver(false)} onDrop={drop}>
        <strong>{t('org.import.drop')}</strong>
        <p className="hint">{t('org.import.hint')}</p>
        <input ref={input} type="file" hidden multiple accept=".json,.ndjson,.jsonl,.xml,.csv,.toml,application/json,application/fhir+json" onChange={(e) => { take([...(e.currentTarget.files ?? [])]); e.currentTarget.value = '' }} />
        <Button variant="default" disabled={file !== undefined} onClick={() => input.current?.click()}>{t('org.import.choose')}</Button>
        {table !== undefined && (
          <form className="clinic-row" onSubmit={named}>
            <TextInput className="grow" label={t('org.import.mapping', { file: table.name })} description={t('org.import.mapping.hint')} value={mapping} onChange={(e) => setMapping(e.currentTarget.value)} maxLength={64} autoComplete="off" spellCheck={false} />
            <Button type="submit">{t('org.import.do')}</Button>
          </form>
        )}
      </div>
      <div role="status">
        {file !== undefined && (
          <div className="note">
            <p>{['ccda', 'csv'].includes(formatOf(file.name)) ? t('org.import.taking', { file: file.name }) : t('org.import.working', { file: file.name, records: counts?.Records ?? 0, rejected: counts?.Rejected ?? 0, patients: counts?.Patients ?? 0 })}</p>
            <progress aria-label={t('app.loading')} />
            <Button variant="default" size="xs" onClick={() => stop.current?.abort()}>{t('org.import.cancel')}</Button>
          </div>
        )}
        {cancelled && <p className="note">{t('org.import.cancelled')}</p>}
        {report !== undefined && <p className={good}>{t('org.import.done', { records: report.Records, duplicates: report.Duplicates, rejected: report.Rejected, patients: report.Patients })}</p>}
        {taken !== undefined && (
          <p className={good}>{t('org.import.taken', { created: taken.created, updated: taken.updated, unchanged: taken.unchanged })} {taken.rows !== undefined && t('org.import.rows', { rows: taken.rows.rows, rejected: taken.rows.rejected })}</p>
        )}
      </div>
      {large !== undefined && <p className="note note-bad" role="alert">{t('org.import.large', { most: large })}</p>}
      {error !== undefined && <Failure error={error} />}
      {(report?.truncated ?? taken?.truncated) === true && <p className="note">{t('org.import.truncated', { listed: lines.length })}</p>}
      {lines.length > 0 && (
        <div className="scroll wrap" role="region" aria-label={t('org.import.rejected')} tabIndex={0}>
          <table>
            <caption>{t('org.import.rejected')}</caption>
            <thead><tr><th scope="col">{t('org.import.number')}</th><th scope="col">{t('org.import.type')}</th><th scope="col">{t('org.import.where')}</th><th scope="col">{t('org.import.why')}</th></tr></thead>
            <tbody>{lines.map((l, i) => <tr key={i}>{l.at === '' ? <td /> : <th scope="row">{l.at}</th>}<td>{l.what}</td><td>{l.where}</td><td>{l.why}</td></tr>)}</tbody>
          </table>
        </div>
      )}
    </section>
  )
}
