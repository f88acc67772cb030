import { Button } from '@mantine/core'
import { useState } from 'react'
import { accountText, decodeAny, encode, type ErasureCase, erasureCaseSchema, erasureCertificateSchema, hex } from '../core'
import { hashSchema } from '../core/tx/name'
import { struct } from '../core/wire/schema'
import { getBytes, Problem } from '../app/api'
import { Failure, refused } from '../app/part/load'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'
import { save } from '../looked/export'

const byCase = struct({ case: [1, hashSchema] })
const maxAnswer = 1 << 20

/** Standing is a case of erasure, and who has destroyed what once that is due. */
export interface Standing {
  readonly of: ErasureCase
  readonly certificate: ReturnType<(typeof erasureCertificateSchema)['zero']> | undefined
}

const unknown = (err: unknown): undefined => {
  if (err instanceof Problem && err.code === 'unknown') return undefined
  throw err
}

/** caseOf asks how a case of the patient stands, by its id in hex; undefined: there is none. */
export async function caseOf(id: string, signal?: AbortSignal): Promise<Standing | undefined> {
  const arg = hex(encode(byCase, { case: Uint8Array.from(id.match(/../g) ?? [], (b) => parseInt(b, 16)) }))
  const [of, certificate] = await Promise.all([
    getBytes(`query/erasure/case?arg=${arg}`, signal).then((b) => decodeAny(erasureCaseSchema, b, maxAnswer), unknown),
    getBytes(`query/erasure/certificate?arg=${arg}`, signal).then((b) => decodeAny(erasureCertificateSchema, b, maxAnswer), unknown),
  ])
  return of === undefined ? undefined : { of, certificate }
}

/** over reports whether nothing of a case can change any more. */
export const over = (s: Standing): boolean => s.of.status >= 4

/** Case shows one: how it stands, who has signed, why it was refused, and its certificate as a file. what names what it erases. */
export function Case({ c: { of, certificate }, names, what }: { readonly c: Standing; readonly names: ReadonlyMap<string, string>; readonly what?: string }) {
  const text = useText()
  const { t, time } = text
  const [error, setError] = useState<unknown>()
  const id = hex(of.id)
  const bits = (v: bigint) => v.toString(2).replaceAll('0', '').length
  return (
    <li>
      <strong>{t(`era.status.${of.status}` as Key)}: {what ?? t(`looked.scope.${of.scope}` as Key)}</strong>
      <div className="facts">
        <span>{t('era.asked', { time: time(of.requested) })}</span>
        {of.ordered && <span className="mark">{t('era.ordered')}</span>}
        {of.height !== 0n && <span>{t('era.height', { height: of.height })}</span>}
        <span className="mono">{id.slice(0, 8)}</span>
      </div>
      {of.status === 5 && <p>{refused(of.code, text) ?? t('era.code.other', { code: `0x${of.code.toString(16).padStart(4, '0')}` })}</p>}
      {certificate !== undefined && (
        <>
          <p>{t('era.receipts', { have: bits(of.keys), of: certificate.n, least: certificate.t, left: certificate.n - certificate.t, opens: certificate.t })}</p>
          {certificate.others.map((o) => <p key={`${o.epoch}/${o.start}`}>{t('era.receipts.others', { have: o.keys.length, of: o.n, least: o.t })}</p>)}
          {certificate.missing.length > 0 && <p className="hint">{t('era.missing', { names: certificate.missing.map((m) => names.get(accountText(m)) ?? accountText(m)).join(', ') })}</p>}
        </>
      )}
      {error !== undefined && <Failure error={error} />}
      {of.status >= 3 && (
        <>
          <div className="buttons"><Button size="xs" variant="default" onClick={() => {
            setError(undefined)
            getBytes(`receipts/erasure/${id}`).then((b) => save(`erasure-${id.slice(0, 8)}.receipt`, 'application/cbor', new Uint8Array(b)), setError)
          }}>{t('era.receipt')}</Button></div>
          <p className="hint">{t('era.receipt.hint')}</p>
        </>
      )}
    </li>
  )
}
