import { parseAccount, type Principal } from '../core'
import { Problem } from '../app/api'
import { principalOf } from '../app/sign'

/** personOf is what the ledger holds about somebody who is no patient; undefined if nothing. */
export async function personOf(account: string, signal: AbortSignal): Promise<Principal | undefined> {
  try {
    return await principalOf(parseAccount(account), signal)
  } catch (err) {
    if (err instanceof Problem && err.code === 'account') return undefined
    throw err
  }
}
