/** What an entry of the access log says, in plain words. */
import { accountText, equal, hex, isZero, type Link } from '../core'
import type { Text } from '../app/text/text'

/** What the filter tells apart. */
export const kinds = ['look', 'refused', 'emergency', 'consent', 'keys', 'erasure'] as const
export type LogKind = (typeof kinds)[number]

/** Line is an entry ready to be shown, filtered and exported. */
export interface Line {
  readonly seq: bigint
  readonly index: bigint
  readonly height: bigint
  /** unix seconds of the block */
  readonly time: bigint
  readonly tx: string
  readonly action: number
  readonly kinds: readonly LogKind[]
  readonly sentence: string
  readonly who: string
  /** the organisation's name, empty where none applies */
  readonly from: string
  readonly why: string
  readonly count: number
  readonly actor: string
  readonly member: string
  /** the session that it belongs to, undefined for none */
  readonly session: Uint8Array | undefined
  /** what the ledger holds of the list of records that it named; undefined where it named none */
  readonly root: Uint8Array | undefined
  /** id of the consent that it is about, empty for none or for all */
  readonly consent: string
}

/** granted reports whether anything was allowed: a session without a slot opened nothing. */
const nothing = (l: Link): boolean => (l.record.action === 8 || l.record.action === 9) && l.record.mask === 0n

function kindsOf(l: Link): LogKind[] {
  const { action: a, purpose } = l.record
  const out: LogKind[] = []
  if (a === 8 || a === 9 || (a >= 11 && a <= 13) || a === 40 || a === 56) out.push('look')
  if (nothing(l)) out.push('refused')
  if ((a >= 11 && a <= 17) || (purpose >= 2 && purpose <= 4)) out.push('emergency')
  if ((a >= 4 && a <= 7) || a === 18) out.push('consent')
  if (a <= 3 || a > 40) out.push('keys')
  if (a >= 19 && a <= 21) out.push('erasure')
  return out
}

/** nameOf says who did it: the patient, an organisation, or somebody of one. */
export function nameOf(l: Link, names: ReadonlyMap<string, string>, { t }: Pick<Text, 't'>): string {
  const { actor, member, patient } = l.record
  if (equal(actor, patient)) return t('looked.you')
  const a = accountText(actor)
  const own = names.get(a)
  if (own !== undefined) return own
  const m = names.get(accountText(member))
  // Of a guardian, too, the ledger says who stewards her: that makes her nobody's staff.
  if (m !== undefined && l.record.action >= 51 && l.record.action <= 54) return t('looked.account', { member: m, id: a.slice(-6) })
  return m === undefined ? t('looked.proxy', { id: a.slice(-6) }) : t('looked.someone', { member: m, id: a.slice(-6) })
}

const capital = (s: string): string => s.replace(/^\p{Ll}/u, (c) => c.toUpperCase())

/** lineOf reads a verified entry. */
export function lineOf(l: Link, names: ReadonlyMap<string, string>, text: Pick<Text, 't' | 'purpose'>): Line {
  const r = l.record
  const who = nameOf(l, names, text)
  const why = r.purpose === 0 ? '' : text.purpose(r.purpose)
  const word = (of: 'reason' | 'case' | 'scope', last: number) => text.t(`looked.${of}.${r.count >= 1 && r.count <= last ? r.count : 0}` as 'looked.reason.0')
  const values = { who, purpose: why, count: r.count, reason: word('reason', 5), case: word('case', 4), scope: word('scope', 3) }
  const key = nothing(l) || (r.action === 50 && r.count === 0) ? `looked.s.${r.action}.none` : `looked.s.${r.action}`
  const member = accountText(r.member)
  return {
    seq: r.seq, index: l.index, height: l.height, time: l.time, tx: hex(l.tx), action: r.action,
    kinds: kindsOf(l),
    sentence: capital(text.t(key as 'looked.s.1', values)),
    who, why,
    from: isZero(r.member) ? '' : (names.get(member) ?? member),
    count: r.action === 8 || r.action === 9 ? r.count : 0,
    actor: accountText(r.actor), member: isZero(r.member) ? '' : member,
    session: ((r.action >= 8 && r.action <= 17) || r.action === 56) && !isZero(r.ref) ? r.ref : undefined,
    root: r.action >= 8 && r.action <= 13 && r.action !== 10 && !isZero(r.root) && r.count > 0 ? r.root : undefined,
    consent: r.action >= 4 && r.action <= 6 && !isZero(r.ref) ? hex(r.ref.slice(0, 16)) : '',
  }
}

/** Filter is what the reader of the log asks for; empty parts ask for nothing. */
export interface Filter {
  readonly kind: LogKind | ''
  readonly from: string
  readonly words: string
}

const fold = (s: string): string => s.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()

/** matches reports whether a line is one that the filter asks for: every word must be in it, whatever its accents and case. */
export function matches(l: Line, f: Filter, time: (seconds: bigint) => string): boolean {
  if (f.kind !== '' && !l.kinds.includes(f.kind)) return false
  if (f.from !== '' && l.from !== f.from) return false
  const all = fold([l.sentence, l.who, l.from, l.why, l.actor, time(l.time), String(l.height)].join(' '))
  return fold(f.words).split(/\s+/).every((w) => all.includes(w))
}
