/** What module consent says about its messages without the ledger's state. */
import { equal, isZero } from '../wire/bytes.ts'
import { refusal } from '../wire/refusal.ts'
import { ascends, bitCount, refuseIf, roleCode } from './check.ts'
import type { Grant, Grantee, MessageOf } from './message.ts'

export const con = {
  patient: refusal(0x0601, 'consent: no such patient is enrolled'),
  grantId: refusal(0x0602, 'consent: a grant needs an id that is not zero'),
  mask: refusal(0x0603, 'consent: a mask has exactly 32 bits set; fill it up with dummy slots'),
  except: refusal(0x0604, 'consent: an except has exactly 24 bits set; fill it up with dummy slots'),
  purposes: refusal(0x0605, 'consent: name at least one purpose, and only codes of HL7 v3 PurposeOfUse'),
  period: refusal(0x0606, 'consent: the period ends before it begins'),
  grantee: refusal(0x0608, "consent: the grantee's fields do not fit its kind"),
  role: refusal(0x0609, 'consent: a role code is 1 to 64 bytes of letters, digits and - . _ | : /'),
  version: refusal(0x060b, 'consent: version 1 begins a new id; a replacement needs a higher version than the one it replaces'),
  document: refusal(0x060c, 'consent: what is recorded from a form carries the commitment to that form'),
  proxyAccount: refusal(0x0615, 'consent: a proxy is another person who is enrolled herself'),
  change: refusal(0x061a, 'consent: a change names each grant once, in the order of the ids, and at least one'),
}

/** Numbers of bits of every grant's masks: spec/consent.md section 1. */
export const maskBits = 32
export const exceptBits = 24
/** The purposes are numbered 1 to 59: spec/consent.md section 5. */
export const lastPurpose = 59

const knownPurposes = (1n << BigInt(lastPurpose + 1)) - 2n

function grantee(g: Grantee): void {
  const none = isZero(g.account)
  if (g.kind === 1) refuseIf(!none || g.role !== '', con.grantee)
  else if (g.kind === 2) refuseIf(!roleCode.test(g.role), con.role)
  else if (g.kind === 3 || g.kind === 4) refuseIf(none || g.role !== '', con.grantee)
  else throw con.grantee()
}

function grant(g: Grant): void {
  refuseIf(isZero(g.id), con.grantId)
  refuseIf(g.version === 0n, con.version)
  refuseIf(g.recorded && isZero(g.document), con.document)
  grantee(g.grantee)
  terms(g)
}

interface Terms {
  mask: bigint
  except: bigint
  purposes: bigint
  notBefore: bigint
  notAfter: bigint
}

export function terms(t: Terms): void {
  refuseIf(bitCount(t.mask) !== maskBits, con.mask)
  refuseIf(bitCount(t.except) !== exceptBits, con.except)
  refuseIf(t.purposes === 0n || (t.purposes & ~knownPurposes) !== 0n, con.purposes)
  refuseIf(t.notAfter !== 0n && t.notAfter <= t.notBefore, con.period)
}

/** rules by kind */
export const consent = {
  'consent.grant'(m: MessageOf<'consent.grant'>) {
    refuseIf(isZero(m.patient), con.patient)
    grant(m.grant)
  },
  'consent.revoke'(m: MessageOf<'consent.revoke'>) {
    refuseIf(isZero(m.patient), con.patient)
  },
  'consent.change'(m: MessageOf<'consent.change'>) {
    refuseIf(isZero(m.patient), con.patient)
    m.revoke.forEach((x, i) => {
      refuseIf(isZero(x) && m.revoke.length > 1, con.grantId)
      refuseIf(!ascends(m.revoke.slice(0, i + 1)), con.change)
    })
    const ids = m.give.map((g) => g.id)
    m.give.forEach((g, i) => {
      grant(g)
      refuseIf(m.revoke.some((x) => equal(x, g.id)) || !ascends(ids.slice(0, i + 1)), con.change)
    })
    refuseIf(m.revoke.length + m.give.length === 0, con.change)
  },
  'consent.proxy'(m: MessageOf<'consent.proxy'>) {
    const p = m.proxy
    refuseIf(isZero(m.patient), con.patient)
    refuseIf(isZero(p.account) || equal(p.account, m.patient), con.proxyAccount)
    refuseIf(p.recorded && isZero(p.document), con.document)
    if (!m.active) return
    refuseIf(p.version === 0n, con.version)
    terms(p)
  },
}
