/** How a patient's recoveries stand, as her portal's node tells it. */
import { decodeAny, encode, hex, parseAccount, type RecoveryPatient, recoveryPatientSchema } from '../core'
import { accountSchema } from '../core/tx/name'
import { struct } from '../core/wire/schema'
import { getBytes } from '../app/api'

const byAccount = struct({ account: [1, accountSchema] })
const maxAnswer = 1 << 20

/** recoveryOf asks what runs about an account, and who her guardians are, as far as the ledger shows. */
export const recoveryOf = async (account: string, signal?: AbortSignal): Promise<RecoveryPatient> =>
  decodeStatus(await getBytes(`query/recovery/patient?arg=${hex(encode(byAccount, { account: parseAccount(account) }))}`, signal))

/** decodeStatus reads recovery/patient. @throws Refusal */
export const decodeStatus = (b: Uint8Array): RecoveryPatient => decodeAny(recoveryPatientSchema, b, maxAnswer)
