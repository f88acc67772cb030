/**
 * The messages of every kind of transaction: spec/tx-<module>.cddl. Masks of
 * slots and times are bigint. What a message means is the ledger's business;
 * validate.ts checks what can be said without it.
 */
import { bool, bytes, type Infer, list, maybe, opt, type Schema, struct, text, u16, u32, u64, u8 } from '../wire/schema.ts'
import { headerSchema } from '../seal/header.ts'
import { signatureSchema } from './envelope.ts'
import { publicKeySchema } from './key.ts'
import { accountSchema, hashSchema, keyIdSchema } from './name.ts'

const keys = list(publicKeySchema)
const ids = list(keyIdSchema)

// tx-identity.cddl
export const register = struct({ account: [1, accountSchema], class: [2, u8], keys: [3, keys], roles: [4, list(text)], privileges: [5, u32], credential: [6, hashSchema] })
export const update = struct({ account: [1, accountSchema], roles: [2, list(text)], privileges: [3, u32], active: [4, bool] })
export const enrol = struct({ patient: [1, accountSchema], keys: [2, keys], claim: [3, hashSchema] })
export const claim = struct({ patient: [1, accountSchema], key: [2, publicKeySchema], claimKey: [3, publicKeySchema] })
export const identityRotate = struct({ account: [1, accountSchema], add: [2, keys], revoke: [3, ids] })

// tx-consent.cddl
export const grantee = struct({ kind: [1, u8], account: [2, accountSchema], role: [3, text] })
export const grant = struct({
  id: [1, keyIdSchema],
  version: [2, u64],
  grantee: [3, grantee],
  mask: [4, u64],
  except: [5, u64],
  purposes: [6, u64],
  notBefore: [7, u64],
  notAfter: [8, u64],
  uses: [9, u16],
  recorded: [10, bool],
  document: [11, hashSchema],
})
export const proxy = struct({
  account: [1, accountSchema],
  version: [2, u64],
  mask: [3, u64],
  except: [4, u64],
  purposes: [5, u64],
  notBefore: [6, u64],
  notAfter: [7, u64],
  recorded: [8, bool],
  document: [9, hashSchema],
})
export const give = struct({ patient: [1, accountSchema], grant: [2, grant] })
export const revoke = struct({ patient: [1, accountSchema], id: [2, keyIdSchema] })
export const change = struct({ patient: [1, accountSchema], revoke: [2, ids], give: [3, list(grant)] })
export const setProxy = struct({ patient: [1, accountSchema], proxy: [2, proxy], active: [3, bool] })

/** A Grant, a Grantee and a Proxy as spec/consent.md section 2 and 4 describe them. */
export type Grant = Infer<typeof grant>
export type Grantee = Infer<typeof grantee>
export type Proxy = Infer<typeof proxy>

// tx-access.cddl
export const request = struct({
  patient: [1, accountSchema],
  purpose: [2, u8],
  mask: [3, u64],
  readerKey: [4, hashSchema],
  ttl: [5, u64],
  root: [6, hashSchema],
  count: [7, u32],
  delegate: [8, opt(bytes)],
})
export const fetch = struct({ session: [1, hashSchema], root: [2, hashSchema], count: [3, u32] })
export const close = struct({ session: [1, hashSchema] })
export const recover = struct({ patient: [1, accountSchema], case: [2, hashSchema], readerKey: [3, hashSchema], ttl: [4, u64], delegate: [5, opt(bytes)] })
export const accessReceipts = struct({ root: [1, hashSchema], from: [2, u64], count: [3, u32] })

// tx-anchor.cddl
export const put = struct({ header: [1, headerSchema], envelopes: [2, hashSchema], pack: [3, hashSchema] })
export const anchorReceipts = struct({ list: [1, list(struct({ header: [1, hashSchema], holds: [2, bool] }))] })
export const complain = struct({ header: [1, hashSchema], reason: [2, u8] })

// tx-committee.cddl
export const publish = struct({ keyEpoch: [1, u64], hash: [2, hashSchema], from: [3, u64], until: [4, u64] })

// tx-governance.cddl
const number = opt(maybe(u64))
export const admit = struct({
  account: [1, accountSchema],
  name: [2, text],
  class: [3, text],
  validator: [4, bytes],
  peer: [5, bytes],
  address: [6, text],
  keys: [7, keys],
})
export const changes = struct({
  maxTxBytes: [1, number],
  maxBlockBytes: [2, number],
  memberTxs: [3, number],
  memberBytes: [4, number],
  patientTxs: [5, number],
  maxExpiry: [6, number],
  retainBlocks: [7, number],
  snapshotInterval: [8, number],
  origins: [9, opt(list(text))],
  sessionMax: [10, number],
  leaseSeconds: [11, number],
  custodyKeyPeriod: [12, number],
  proposalPeriod: [13, number],
  emergencyMax: [14, number],
  emergencyQuota: [15, number],
  attestPeriod: [16, number],
  reviewPeriod: [17, number],
  retentionPeriod: [18, number],
  reshareWait: [21, number],
  reshareGrace: [22, number],
  lookupQuota: [25, number],
  lookupMemberQuota: [26, number],
  lookupPhase: [27, number],
  recoveryDelay: [28, number],
  recoveryPeriod: [29, number],
  recoveryQuota: [30, number],
  executorDelay: [31, number],
  upgradeNotice: [33, number],
  validatorPause: [34, number],
  validatorFloor: [40, number],
})
const only = struct({ account: [1, accountSchema] })
const erase = struct({ patient: [1, accountSchema], batch: [2, hashSchema], leaf: [3, hashSchema], ground: [4, hashSchema] })
const hold = struct({ patient: [1, accountSchema], batch: [2, hashSchema], matter: [3, hashSchema], lift: [4, bool] })
const reshare = struct({ without: [1, list(accountSchema)] })
const upgrade = struct({ version: [1, number], height: [2, number], name: [3, text], digest: [4, hashSchema] })
const cancelUpgrade = struct({ proposal: [1, hashSchema] })
const disaster = struct({ class: [1, text], seconds: [2, number] })
const setValidator = struct({ account: [1, accountSchema], validator: [2, bytes] })
export const action = struct({
  admit: [1, opt(maybe(admit))],
  remove: [2, opt(maybe(only))],
  setParams: [3, opt(maybe(changes))],
  setValidator: [4, opt(maybe(setValidator))],
  erase: [5, opt(maybe(erase))],
  hold: [6, opt(maybe(hold))],
  reshare: [7, opt(maybe(reshare))],
  upgrade: [10, opt(maybe(upgrade))],
  cancelUpgrade: [11, opt(maybe(cancelUpgrade))],
  disaster: [12, opt(maybe(disaster))],
})
export const propose = struct({ action: [1, action] })
export const vote = struct({ proposal: [1, hashSchema], approve: [2, bool] })
export const address = struct({ address: [1, text], peer: [2, bytes] })
export const governanceRotate = struct({ add: [1, keys], revoke: [2, ids] })

// tx-emergency.cddl
export const setDirective = struct({ patient: [1, accountSchema], version: [2, u64], set: [3, u64], more: [4, u64], except: [5, u64] })
export const attest = struct({ case: [1, hashSchema], account: [2, hashSchema] })
export const review = struct({ case: [1, hashSchema], verdict: [2, u8], findings: [3, hashSchema] })
export const dispute = struct({ case: [1, hashSchema] })

// tx-erasure.cddl
export const eraseRequest = struct({ patient: [1, accountSchema], scope: [2, u8], batch: [3, hashSchema], leaf: [4, hashSchema], ground: [5, hashSchema] })

// tx-recovery.cddl
export const mandate = struct({ account: [1, accountSchema], mask: [2, u64], except: [3, u64], purposes: [4, u64], notBefore: [5, u64], notAfter: [6, u64] })
export const recoveryTerms = struct({
  patient: [1, accountSchema],
  number: [2, u64],
  kind: [3, u8],
  keys: [4, keys],
  revoke: [5, ids],
  document: [6, hashSchema],
  executor: [7, opt(maybe(mandate))],
})
/** RecoveryTerms are all that a case asks for; its id is their hash. */
export type RecoveryTerms = Infer<typeof recoveryTerms>
export const recoveryProof = struct({ salt: [1, hashSchema], key: [2, opt(maybe(publicKeySchema))], signature: [3, opt(maybe(signatureSchema))] })
/** RecoveryProof shows that somebody is a guardian. */
export type RecoveryProof = Infer<typeof recoveryProof>
export const setGuardians = struct({ patient: [1, accountSchema], version: [2, u64], threshold: [3, u8], commitments: [4, list(hashSchema)] })
export const recoveryRequest = struct({ terms: [1, recoveryTerms], proof: [2, opt(maybe(recoveryProof))] })
export const recoveryApprove = struct({ case: [1, hashSchema], proof: [2, opt(maybe(recoveryProof))] })
export const recoveryCase = struct({ case: [1, hashSchema] })

/** messages maps each kind to its message. */
export const messages = {
  'identity.register': register,
  'identity.update': update,
  'identity.enrol': enrol,
  'identity.claim': claim,
  'identity.rotate': identityRotate,
  'consent.grant': give,
  'consent.revoke': revoke,
  'consent.change': change,
  'consent.proxy': setProxy,
  'access.request': request,
  'access.fetch': fetch,
  'access.close': close,
  'access.recover': recover,
  'access.receipts': accessReceipts,
  'anchor.put': put,
  'anchor.receipts': anchorReceipts,
  'anchor.complain': complain,
  'committee.key': publish,
  'governance.propose': propose,
  'governance.vote': vote,
  'governance.address': address,
  'governance.rotate': governanceRotate,
  'emergency.directive': setDirective,
  'emergency.attest': attest,
  'emergency.review': review,
  'emergency.dispute': dispute,
  'erasure.request': eraseRequest,
  'recovery.guardians': setGuardians,
  'recovery.request': recoveryRequest,
  'recovery.approve': recoveryApprove,
  'recovery.cancel': recoveryCase,
  'recovery.finish': recoveryCase,
} as const

/** A Kind names a message. */
export type Kind = keyof typeof messages

/** MessageOf is the message of a kind. */
export type MessageOf<K extends Kind> = Infer<(typeof messages)[K]>

/** isKind reports whether a module takes this kind. */
export const isKind = (k: string): k is Kind => Object.hasOwn(messages, k)

/** schemaOf gives the schema of a kind, typed by it. */
export const schemaOf = <K extends Kind>(kind: K): Schema<MessageOf<K>> => messages[kind] as unknown as Schema<MessageOf<K>>
