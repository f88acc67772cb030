/**
 * What can be said about a message without the ledger's state, with the codes
 * of spec/codes.md, so that a wallet refuses before it asks for a signature.
 * Covered are the kinds that people sign: identity, consent, access, emergency, erasure.request, recovery. What
 * member organisations and custodians sign is checked by their own programs.
 */
import { equal, isZero } from '../wire/bytes.ts'
import { refusal } from '../wire/refusal.ts'
import { ascends, bitCount, refuseIf, roleCode } from './check.ts'
import { con, consent, exceptBits, lastPurpose, maskBits, terms } from './consent.ts'
import { validateSignature } from './envelope.ts'
import { algEd25519, ed25519Key, keyId, type PublicKey, validateKey } from './key.ts'
import type { Kind, MessageOf, RecoveryProof, RecoveryTerms } from './message.ts'

const id = {
  account: refusal(0x0301, 'identity: the account must not be empty'),
  class: refusal(0x0302, 'identity: only practitioners and devices are registered'),
  noKey: refusal(0x0303, 'identity: at least one key is needed'),
  tooManyKeys: refusal(0x0304, 'identity: at most 8 keys may be live'),
  keyUsed: refusal(0x0305, 'identity: this key is or was already a key of the account; use a fresh one'),
  noChange: refusal(0x0308, 'identity: this would change nothing'),
  roles: refusal(0x0309, 'identity: roles are at most 16 different codes in ascending order'),
  privileges: refusal(0x030a, 'identity: unknown privilege'),
  claimKey: refusal(0x0312, 'identity: the claim key is not the one enrolled'),
}

const acc = {
  patient: refusal(0x0701, 'access: no such patient is enrolled'),
  purpose: refusal(0x0702, 'access: the purpose is not a code of HL7 v3 PurposeOfUse'),
  mask: refusal(0x0703, 'access: ask for at least one slot; ask for all if in doubt'),
  readerKey: refusal(0x0704, "access: the hash of the reader's key is missing"),
  ttl: refusal(0x0705, 'access: a session lasts at least a second and at most what the network allows'),
  list: refusal(0x0706, 'access: a record list has a root and 1 to 4096 records, or neither'),
  unknown: refusal(0x070d, 'access: there is no such session'),
  root: refusal(0x0713, 'access: the root of the release receipts is missing'),
  declare: refusal(0x0719, 'access: no request opens a session for BTG: an emergency is declared, with access.emergency'),
  recovery: refusal(0x0718, 'access: only the patient opens this session, with a key that the recovery brought'),
  delegate: refusal(0x071a, 'access: a delegate is an Ed25519 public key of 32 bytes'),
  count: refusal(0x0714, 'access: a report covers 1 to 1048576 releases'),
  sequence: refusal(0x0715, "access: the report does not begin where the custodian's last one ended"),
}

const eme = {
  patient: refusal(0x0901, 'emergency: no such patient is enrolled'),
  version: refusal(0x0902, "emergency: a directive's version is one more than that of the one it replaces"),
  mask: refusal(0x0903, 'emergency: the masks of both steps have exactly 32 bits set; fill them up with dummies'),
  except: refusal(0x0904, 'emergency: the except mask has exactly 24 bits set; fill it up with dummies'),
  unknown: refusal(0x090d, 'emergency: there is no such case'),
  commitment: refusal(0x0913, 'emergency: the salted commitment to the written account is missing'),
  verdict: refusal(0x0915, 'emergency: a verdict is justified, unjustified or inconclusive'),
}

const era = {
  patient: refusal(0x0a01, 'erasure: there is no such patient'),
  scope: refusal(0x0a04, 'erasure: a case names a record with its batch, a batch, or a whole patient'),
}

const rec = {
  patient: refusal(0x0e01, 'recovery: no such patient is enrolled'),
  version: refusal(0x0e02, 'recovery: guardians have the version one above those they replace, the first 1'),
  threshold: refusal(0x0e03, 'recovery: name 2 to 16 guardians, and let it take at least 2 of them'),
  commitments: refusal(0x0e04, 'recovery: commitments are different, not zero and in ascending order'),
  number: refusal(0x0e08, "recovery: the case's number is one more than that of the patient's last"),
  kind: refusal(0x0e09, 'recovery: a case is about keys, death, life or executor'),
  keys: refusal(0x0e0a, 'recovery: a case about keys brings 1 to 4 different ones and names those that end in ascending order; no other case does'),
  executor: refusal(0x0e0b, 'recovery: an executor is another person who is enrolled herself, and only a case about one names her'),
  document: refusal(0x0e0c, 'recovery: staff commits to the papers it saw, guardians do not'),
  proof: refusal(0x0e0d, "recovery: the guardian's proof is not complete"),
  staff: refusal(0x0e10, "recovery: only practitioners of the patient's steward with the privilege reproof may do this"),
  unknown: refusal(0x0e17, 'recovery: no such case'),
}

/** BTG in spec/consent.md section 5. */
const breakTheGlass = 3
function keys(list: readonly PublicKey[]): void {
  refuseIf(list.length > 8, id.tooManyKeys)
  list.forEach((k, i) => {
    validateKey(k)
    refuseIf(
      list.slice(0, i).some((o) => equal(keyId(o), keyId(k))),
      id.keyUsed,
    )
  })
}

function rights(roles: readonly string[], privileges: number): void {
  refuseIf(roles.length > 16, id.roles)
  roles.forEach((r, i) => refuseIf(!roleCode.test(r) || (i > 0 && (roles[i - 1] ?? '') >= r), id.roles))
  refuseIf(privileges > 127, id.privileges)
}

function delegate(key: Uint8Array): void {
  if (key.length === 0) return
  try {
    validateKey(ed25519Key(key))
  } catch {
    throw acc.delegate()
  }
}

function list(root: Uint8Array, count: number): void {
  refuseIf(isZero(root) || count < 1 || count > 4096, acc.list)
}

/** caseTerms checks the terms of a recovery by themselves. */
function caseTerms(t: RecoveryTerms): void {
  const aboutKeys = t.kind === 1
  refuseIf(isZero(t.patient), rec.patient)
  refuseIf(t.number === 0n, rec.number)
  refuseIf(t.kind < 1 || t.kind > 4, rec.kind)
  refuseIf(aboutKeys !== t.keys.length > 0 || (!aboutKeys && t.revoke.length > 0) || t.keys.length > 4 || t.revoke.length > 8, rec.keys)
  refuseIf((t.kind === 4) !== (t.executor !== undefined), rec.executor)
  t.keys.forEach((k, i) => {
    validateKey(k)
    refuseIf(t.keys.slice(0, i).some((o) => equal(keyId(o), keyId(k))), rec.keys)
  })
  refuseIf(!ascends(t.revoke), rec.keys)
  if (t.executor === undefined) return
  refuseIf(equal(t.executor.account, t.patient), rec.executor)
  refuseIf(isZero(t.executor.account), con.proxyAccount)
  terms(t.executor)
}

function guardianProof(p: RecoveryProof | undefined): void {
  if (p === undefined) return
  refuseIf(isZero(p.salt) || (p.key === undefined) !== (p.signature === undefined), rec.proof)
  if (p.key === undefined || p.signature === undefined) return
  refuseIf(!isZero(p.signature.account), rec.proof)
  validateKey(p.key)
  validateSignature(p.signature)
}

type Rules = { [K in Kind]?: (m: MessageOf<K>) => void }

const rules: Rules = {
  ...consent,
  'identity.register'(m) {
    refuseIf(isZero(m.account), id.account)
    refuseIf(m.class !== 2 && m.class !== 3, id.class)
    refuseIf(m.keys.length === 0, id.noKey)
    rights(m.roles, m.privileges)
    keys(m.keys)
  },
  'identity.update'(m) {
    refuseIf(isZero(m.account), id.account)
    rights(m.roles, m.privileges)
  },
  'identity.enrol'(m) {
    refuseIf(isZero(m.patient), id.account)
    keys(m.keys)
  },
  'identity.claim'(m) {
    refuseIf(isZero(m.patient), id.account)
    refuseIf(m.claimKey.alg !== algEd25519 || equal(keyId(m.claimKey), keyId(m.key)), id.claimKey)
    keys([m.key, m.claimKey])
  },
  'identity.rotate'(m) {
    refuseIf(isZero(m.account), id.account)
    refuseIf(m.add.length === 0 && m.revoke.length === 0, id.noChange)
    refuseIf(m.revoke.length > 8, id.tooManyKeys)
    keys(m.add)
  },
  'access.request'(m) {
    refuseIf(isZero(m.patient), acc.patient)
    refuseIf(m.purpose < 1 || m.purpose > lastPurpose, acc.purpose)
    refuseIf(m.purpose === breakTheGlass, acc.declare)
    refuseIf(m.mask === 0n, acc.mask)
    refuseIf(isZero(m.readerKey), acc.readerKey)
    refuseIf(m.ttl === 0n, acc.ttl)
    delegate(m.delegate)
    if (!isZero(m.root) || m.count !== 0) list(m.root, m.count)
  },
  'access.fetch'(m) {
    refuseIf(isZero(m.session), acc.unknown)
    list(m.root, m.count)
  },
  'access.close'(m) {
    refuseIf(isZero(m.session), acc.unknown)
  },
  'access.recover'(m) {
    refuseIf(isZero(m.patient), acc.patient)
    refuseIf(isZero(m.case), acc.recovery)
    refuseIf(isZero(m.readerKey), acc.readerKey)
    refuseIf(m.ttl === 0n, acc.ttl)
    delegate(m.delegate)
  },
  'access.receipts'(m) {
    refuseIf(isZero(m.root), acc.root)
    refuseIf(m.count < 1 || m.count > 1 << 20, acc.count)
    refuseIf(m.from === 0n || m.from > 1n << 62n, acc.sequence)
  },
  'emergency.directive'(m) {
    refuseIf(isZero(m.patient), eme.patient)
    refuseIf(m.version === 0n, eme.version)
    refuseIf(bitCount(m.set) !== maskBits || bitCount(m.more) !== maskBits, eme.mask)
    refuseIf(bitCount(m.except) !== exceptBits, eme.except)
  },
  'emergency.attest'(m) {
    refuseIf(isZero(m.case), eme.unknown)
    refuseIf(isZero(m.account), eme.commitment)
  },
  'emergency.review'(m) {
    refuseIf(isZero(m.case), eme.unknown)
    refuseIf(m.verdict < 1 || m.verdict > 3, eme.verdict)
    refuseIf(isZero(m.findings), eme.commitment)
  },
  'emergency.dispute'(m) {
    refuseIf(isZero(m.case), eme.unknown)
  },
  'erasure.request'(m) {
    refuseIf(isZero(m.patient), era.patient)
    const batch = !isZero(m.batch)
    const leaf = !isZero(m.leaf)
    refuseIf(!((m.scope === 1 && batch && leaf) || (m.scope === 2 && batch && !leaf) || (m.scope === 3 && !batch && !leaf)), era.scope)
  },
  'recovery.guardians'(m) {
    const n = m.commitments.length
    refuseIf(isZero(m.patient), rec.patient)
    refuseIf(m.version === 0n, rec.version)
    if (n === 0 && m.threshold === 0) return
    refuseIf(n > 16 || m.threshold < 2 || m.threshold > n, rec.threshold)
    refuseIf(!ascends(m.commitments) || m.commitments.some(isZero), rec.commitments)
  },
  'recovery.request'(m) {
    caseTerms(m.terms)
    refuseIf((m.proof === undefined) === isZero(m.terms.document), rec.document)
    refuseIf(m.proof !== undefined && m.terms.kind !== 1, rec.staff)
    guardianProof(m.proof)
  },
  'recovery.approve'(m) {
    refuseIf(isZero(m.case), rec.unknown)
    guardianProof(m.proof)
  },
  'recovery.cancel'(m) {
    refuseIf(isZero(m.case), rec.unknown)
  },
  'recovery.finish'(m) {
    refuseIf(isZero(m.case), rec.unknown)
  },
}

/** validate checks a message by itself. @throws Refusal with the code that the ledger would give */
export function validate<K extends Kind>(kind: K, m: MessageOf<K>): void {
  ;(rules[kind] as ((m: MessageOf<K>) => void) | undefined)?.(m)
}
