/** Rows of the state that a wallet reads, and their keys: spec/state.md and the CDDL of each module. */
import { grant, proxy, recoveryTerms } from '../tx/message.ts'
import { publicKeySchema } from '../tx/key.ts'
import { concat } from '../wire/bytes.ts'
import { bool, bytes, fixed, type Infer, list, maybe, opt, struct, text, u16, u32, u64, u8 } from '../wire/schema.ts'

const hash = fixed(32)
const account = fixed(16)
const id = fixed(16)

const key = (prefix: number, table: number, ...parts: readonly Uint8Array[]): Uint8Array => concat(new Uint8Array([prefix, table]), ...parts)

/** Keys of rows. Arguments are accounts of 16 bytes, hashes of 32, grant ids of 16. */
export const rowKeys = {
  member: (a: Uint8Array) => key(2, 1, a),
  params: () => key(2, 2),
  principal: (a: Uint8Array) => key(3, 1, a),
  epoch: (n: bigint) => key(4, 1, be64(n)),
  currentEpoch: () => key(4, 2),
  batch: (header: Uint8Array) => key(5, 1, header),
  grant: (patient: Uint8Array, grantId: Uint8Array) => key(6, 1, patient, grantId),
  proxy: (patient: Uint8Array, proxy: Uint8Array) => key(6, 2, patient, proxy),
  consentHead: (patient: Uint8Array) => key(6, 3, patient),
  session: (session: Uint8Array) => key(7, 1, session),
} as const

function be64(n: bigint): Uint8Array {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, n)
  return out
}

export const datedKey = struct({ public: [1, publicKeySchema], from: [2, u64], until: [3, u64] })
/** DatedKey is live from a height on, until another (exclusive; 0: no end). */
export type DatedKey = Infer<typeof datedKey>

/** liveAt reports whether a key is live at a height. */
export const liveAt = (k: DatedKey, height: bigint): boolean => k.from <= height && (k.until === 0n || height < k.until)

export const memberSchema = struct({
  account: [1, account],
  name: [2, text],
  class: [3, text],
  clinical: [4, bool],
  validator: [5, bytes],
  peer: [6, bytes],
  address: [7, text],
  active: [8, bool],
  joined: [9, u64],
  keys: [10, list(datedKey)],
})
export type Member = Infer<typeof memberSchema>

export const paramsSchema = struct({
  maxTxBytes: [1, u64],
  maxBlockBytes: [2, u64],
  memberTxs: [3, u64],
  memberBytes: [4, u64],
  patientTxs: [5, u64],
  maxExpiry: [6, u64],
  retainBlocks: [7, u64],
  snapshotInterval: [8, u64],
  origins: [9, list(text)],
  sessionMax: [10, u64],
  leaseSeconds: [11, u64],
  custodyKeyPeriod: [12, u64],
  proposalPeriod: [13, u64],
  emergencyMax: [14, u64],
  emergencyQuota: [15, u64],
  attestPeriod: [16, u64],
  reviewPeriod: [17, u64],
  retentionPeriod: [18, u64],
  reshareWait: [21, u64],
  reshareGrace: [22, u64],
  lookupQuota: [25, u64],
  lookupMemberQuota: [26, u64],
  lookupPhase: [27, u64],
  recoveryDelay: [28, u64],
  recoveryPeriod: [29, u64],
  recoveryQuota: [30, u64],
  executorDelay: [31, u64],
  upgradeNotice: [33, u64],
  validatorPause: [34, u64],
  validatorFloor: [40, u64],
})
export type Params = Infer<typeof paramsSchema>

export const principalSchema = struct({
  account: [1, account],
  class: [2, u8],
  member: [3, account],
  active: [4, bool],
  roles: [5, list(text)],
  privileges: [6, u32],
  credential: [7, hash],
  keys: [8, list(datedKey)],
  claim: [9, hash],
  height: [10, u64],
})
/** Principal: class 2 practitioner, 3 device, 4 patient; member is a patient's steward. */
export type Principal = Infer<typeof principalSchema>

export const epochSchema = struct({ epoch: [1, u64], n: [2, u8], t: [3, u8], members: [4, list(account)], height: [5, u64] })
/** Epoch is a custody committee: custodian i is member number i, from 1. */
export type Epoch = Infer<typeof epochSchema>

export const batchSchema = struct({
  author: [1, account],
  epoch: [2, u64],
  count: [3, u16],
  pack: [4, hash],
  height: [5, u64],
  time: [6, u64],
  index: [7, u64],
  receipts: [8, u64],
  holders: [9, u64],
  complaints: [10, u64],
  active: [11, u64],
})
/** Batch is an anchored batch; active is the height at which it became so, 0 if not. */
export type Batch = Infer<typeof batchSchema>

export const standingSchema = struct({ grant: [1, grant], signer: [2, account], height: [3, u64], left: [4, u16] })
/** Standing is a grant in force or to come, who signed it, and its uses left. */
export type Standing = Infer<typeof standingSchema>

export const standingProxySchema = struct({ proxy: [1, proxy], signer: [2, account], since: [3, u64], height: [4, u64] })
export type StandingProxy = Infer<typeof standingProxySchema>

export const consentHeadSchema = struct({ version: [1, u64], grants: [2, u64], proxies: [3, u64] })
export type ConsentHead = Infer<typeof consentHeadSchema>

export const consentAllSchema = struct({ head: [1, consentHeadSchema], grants: [2, list(standingSchema)], proxies: [3, list(standingProxySchema)] })
/** ConsentAll is the answer to consent/grants. */
export type ConsentAll = Infer<typeof consentAllSchema>

const otherSchema = struct({ patient: [1, account], consents: [2, consentAllSchema] })
/** Other is what was said under another pseudonym of the patient, as far as it denies, in the slots of her own. */
export type Other = Infer<typeof otherSchema>

/** denialsSchema is the answer to consent/denials. */
export const denialsSchema = struct({ others: [1, list(otherSchema)] })

export const sessionSchema = struct({
  id: [1, hash],
  patient: [2, account],
  actor: [3, account],
  member: [4, account],
  purpose: [5, u8],
  mask: [6, u64],
  readerKey: [7, hash],
  opened: [8, u64],
  expires: [9, u64],
  height: [10, u64],
  consents: [11, u64],
  grants: [12, list(id)],
  uses: [13, list(struct({ grant: [1, id], version: [2, u64] }))],
  fetches: [14, u32],
  closed: [15, bool],
  delegation: [16, opt(maybe(struct({ key: [1, bytes], by: [2, id] })))],
})
export type Session = Infer<typeof sessionSchema>

const guardians = struct({ version: [1, u64], threshold: [2, u8], commitments: [3, list(hash)], height: [4, u64] })

export const recoveryCaseSchema = struct({
  id: [1, hash],
  terms: [2, recoveryTerms],
  status: [3, u8],
  member: [4, account],
  needed: [5, u8],
  approvals: [6, list(struct({ who: [1, account], commitment: [2, hash], height: [3, u64] }))],
  opened: [7, u64],
  from: [8, u64],
  until: [9, u64],
  closed: [10, u64],
  by: [11, account],
})
/** RecoveryCase: status 1 gathering, 2 waiting, 3 finished, 4 cancelled, 5 lapsed; member zeros where guardians carry it. */
export type RecoveryCase = Infer<typeof recoveryCaseSchema>

export const recoveryPatientSchema = struct({
  number: [1, u64],
  running: [2, list(recoveryCaseSchema)],
  last: [3, hash],
  locked: [4, bool],
  recovered: [5, u64],
  deceased: [6, u64],
  executor: [7, account],
  guardians: [8, guardians],
})
/** RecoveryPatient is the answer to recovery/patient. */
export type RecoveryPatient = Infer<typeof recoveryPatientSchema>

export const directiveSchema = struct({ version: [1, u64], set: [2, u64], more: [3, u64], except: [4, u64], by: [5, account], height: [6, u64] })
/** Directive is what an emergency may open of a patient's records. */
export type Directive = Infer<typeof directiveSchema>

export const emergencyCaseSchema = struct({
  id: [1, hash],
  patient: [2, account],
  actor: [3, account],
  member: [4, account],
  reason: [5, u8],
  declared: [6, u64],
  until: [7, u64],
  widened: [8, u64],
  extender: [9, account],
  attestBy: [10, u64],
  attested: [11, u64],
  account: [12, hash],
  reviewBy: [13, u64],
  reviewed: [14, u64],
  reviewer: [15, account],
  verdict: [16, u8],
  findings: [17, hash],
  disputed: [18, u64],
  overdue: [19, u8],
})
/** EmergencyCase: times are unix seconds, 0 for not; verdict 1 justified, 2 unjustified, 3 inconclusive; overdue 1 attestation, 2 review. */
export type EmergencyCase = Infer<typeof emergencyCaseSchema>

const otherErasure = struct({ epoch: [1, u64], start: [2, u64], n: [3, u8], t: [4, u8], due: [5, u64], keys: [6, u64], ciphertext: [7, u64], records: [8, u64] })

export const erasureCaseSchema = struct({
  id: [1, hash],
  scope: [2, u8],
  patient: [3, account],
  batch: [4, hash],
  record: [5, hash],
  by: [6, account],
  ordered: [7, bool],
  ground: [8, hash],
  status: [9, u8],
  code: [10, u32],
  requested: [11, u64],
  clear: [12, u64],
  notHers: [13, u64],
  retained: [14, u64],
  held: [15, u64],
  epoch: [16, u64],
  height: [17, u64],
  time: [18, u64],
  due: [19, u64],
  keys: [20, u64],
  ciphertext: [21, u64],
  records: [22, u64],
  certified: [23, u64],
  closed: [24, u64],
  others: [25, opt(list(otherErasure))],
  unsigned: [26, opt(list(account))],
})
/** ErasureCase: scope 1 record, 2 batch, 3 patient; status 1 received, 2 executing, 3 incomplete, 4 done, 5 refused, 6 final: the unsigned were removed. */
export type ErasureCase = Infer<typeof erasureCaseSchema>

const accounts = list(account)
/** The answer to erasure/certificate: who has destroyed what, and whose receipt is missing; n custodians, of whom t could open. */
export const erasureCertificateSchema = struct({ case: [1, erasureCaseSchema], n: [2, u8], t: [3, u8], left: [4, u8], keys: [5, accounts], ciphertext: [6, accounts], records: [7, accounts], missing: [8, accounts], others: [9, opt(list(struct({ epoch: [1, u64], start: [2, u64], n: [3, u8], t: [4, u8], left: [5, u8], keys: [6, accounts] })))] })

export const erasureHoldsSchema = struct({ holds: [1, list(struct({ patient: [1, account], batch: [2, hash], matter: [3, hash], since: [4, u64] }))] })
