/** The ceremonies of somebody who has no key of her account any more (gateway/portal/recover.go). */
import { accountText, keyText, type PublicKey } from '../core'
import { type About, getJSON, postJSON, Problem, type SessionInfo } from '../app/api'
import { assertion, challenge, enterAs, get, makePasskey, proof, signInDigest } from '../app/wallet'

/** Standing is how the case stands that asks for this device's key. */
export interface Standing {
  readonly state: 'none' | 'live' | 'gathering' | 'waiting' | 'finished' | 'cancelled' | 'lapsed'
  readonly case: string
  readonly approvals: number
  readonly needed: number
  /** unix seconds, as the others */
  readonly from: number
  readonly until: number
  readonly now: number
}

/** Device is this device's new key; the key itself is unknown to who comes back. */
export interface Device {
  readonly account: Uint8Array
  readonly key: PublicKey | undefined
  readonly credential: Uint8Array
}

/** makeKey makes a passkey for the account and shows the portal that it signs. @throws Problem, Refusal */
export async function makeKey(about: About, account: Uint8Array): Promise<Device> {
  const fresh = await makePasskey(about, account)
  const nonce = await challenge()
  const c = await get(about, signInDigest(about.chain, account, nonce), [fresh.credentialId])
  await postJSON<SessionInfo>('recover', { account: accountText(account), key: keyText(fresh.key), proof: proof(nonce, assertion(c)) })
  return { account, key: fresh.key, credential: fresh.credentialId }
}

/** comeBack shows that this device has a key that was asked for. @throws Problem proof: nobody asked for it */
export async function comeBack(about: About): Promise<Device> {
  const nonce = await challenge()
  const c = await get(about, signInDigest(about.chain, new Uint8Array(16), nonce), [])
  const r = assertion(c)
  const account = r.userHandle === null ? undefined : new Uint8Array(r.userHandle)
  if (account?.length !== 16) throw new Problem('passkey', 'portal: not a passkey of this portal')
  await postJSON<SessionInfo>('recover', { account: accountText(account), proof: proof(nonce, r) })
  return { account, key: undefined, credential: new Uint8Array(c.rawId) }
}

/** standing asks how the case stands. */
export const standing = (signal?: AbortSignal): Promise<Standing> => getJSON<Standing>('recover', signal)

/** finish has the organisation carry the case out. */
export const finish = (): Promise<Standing> => postJSON<Standing>('recover/finish', {})

/** enter signs in with the key that came. */
export const enter = (about: About, d: Device): Promise<SessionInfo> => enterAs(about, d.account, [d.credential])
