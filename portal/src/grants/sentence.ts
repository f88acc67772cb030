/** Consents in plain words: who, what for, which kinds of records, until when. */
import { accountText, emergencyLabel, type Grant, type Grantee, isZero, labelsIn, type Proxy, type SlotMap, stewardLabel } from '../core'
import type { Text } from '../app/text/text'

type Words = Pick<Text, 't' | 'purpose' | 'time' | 'language'>

/** The closed set of labels (spec/labels.md): kinds first, then sensitivities. */
export const kindLabels = ['administrative', 'allergy', 'billing', 'careplan', 'condition', 'document', 'encounter', 'imaging', 'immunization', 'laboratory', 'medication', 'procedure', 'social', 'vital-signs'] as const
export const sensitiveLabels = ['GDIS', 'HIV', 'PSY', 'PSYTHPN', 'SDV', 'SEX', 'STD', 'SUD', 'R', 'V'] as const
export const allLabels: readonly string[] = [...kindLabels, ...sensitiveLabels]

/** grantable are the labels of a map that a grant may name: not the map itself, nor what only emergencies open. */
export const grantable = (m: SlotMap): string[] => m.labels.filter((l) => l !== stewardLabel && l !== emergencyLabel)

/** labelText names a label; one that this page does not know by its code. */
export const labelText = (l: string, { t }: Pick<Text, 't'>): string => (allLabels.includes(l) ? t(`label.${l}` as 'label.R') : l)

const listOf = (items: readonly string[], language: string, type: Intl.ListFormatType = 'conjunction'): string => new Intl.ListFormat(language, { type }).format(items)

/** granteeOf says whom a consent is for. */
export function granteeOf(g: Grantee, names: ReadonlyMap<string, string>, { t }: Words): string {
  const id = accountText(g.account)
  const member = names.get(id) ?? id
  switch (g.kind) {
    case 1: return t('grants.any')
    case 2: return isZero(g.account) ? t('grants.role.any', { role: g.role }) : t('grants.role', { role: g.role, member })
    case 3: return t('grants.member', { member })
    default: return t('grants.one', { account: id })
  }
}

/** purposesIn lists the purposes of a set. */
export function purposesIn(set: bigint): number[] {
  const out: number[] = []
  for (let n = 1; n < 60; n++) if ((set & (1n << BigInt(n))) !== 0n) out.push(n)
  return out
}

export const purposesOf = (set: bigint, w: Words): string => listOf(purposesIn(set).map((n) => w.purpose(n)), w.language, 'disjunction')

/** periodOf says from when until when. */
export function periodOf(p: { notBefore: bigint; notAfter: bigint }, now: bigint, { t, time }: Words): string {
  const until = p.notAfter === 0n ? t('grants.open') : t('grants.until', { time: time(bound(p.notAfter)) })
  return p.notBefore > now ? t('grants.fromUntil', { from: time(bound(p.notBefore)), until }) : until
}

/** The last second that a Date can hold: what is later is shown as that. */
const last = 8_640_000_000_000n
const bound = (s: bigint): bigint => (s > last ? last : s)

/** kindsOf says which kinds of records two masks allow, in the patient's own map; undefined without it. */
export function kindsOf(g: { mask: bigint; except: bigint }, m: SlotMap | undefined, w: Words): { allowed: string; denied: string } | undefined {
  if (m === undefined) return undefined
  const all = grantable(m)
  const named = (mask: bigint) => labelsIn(m, mask).filter((l) => all.includes(l))
  const denied = named(g.except)
  const allowed = named(g.mask).filter((l) => !denied.includes(l))
  const missing = all.filter((l) => !allowed.includes(l))
  const say = (list: readonly string[]) => listOf(list.map((l) => labelText(l, w)), w.language)
  const some = allowed.length === 0 ? w.t('grants.kinds.none') : missing.length === 0 ? w.t('grants.kinds.all') : missing.length <= allowed.length ? w.t('grants.kinds.but', { kinds: say(missing) }) : w.t('grants.kinds.only', { kinds: say(allowed) })
  return { allowed: some, denied: denied.length === 0 ? '' : w.t('grants.kinds.denied', { kinds: say(denied) }) }
}

/** grantSentence says a consent. */
export const grantSentence = (g: Grant, names: ReadonlyMap<string, string>, now: bigint, w: Words): string =>
  w.t(g.uses === 1 ? 'grants.sentence.once' : 'grants.sentence', { who: granteeOf(g.grantee, names, w), purpose: purposesOf(g.purposes, w), until: periodOf(g, now, w) })

/** proxySentence says who acts for the patient. */
export const proxySentence = (p: Proxy, now: bigint, w: Words): string => w.t('grants.proxy', { account: accountText(p.account), purpose: purposesOf(p.purposes, w), until: periodOf(p, now, w) })
