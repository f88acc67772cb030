/**
 * The ceremony of a claim. The code's secret signs here and stays here: the
 * portal gets the public half, a signature over its challenge, and then the
 * transaction that the new passkey and the code sign together. Nothing is kept.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { accountText, base64url, claimSigner, concat, keyText, prepare, type Registered, Refusal, requestOptions, sign, signatureOf, u64, utf8 } from '../core'
import { type About, postBytes, postJSON, Problem, type SessionInfo } from '../app/api'
import { assertion, challenge, encode64, enterAs, makePasskey } from '../app/wallet'
import type { ClaimCode } from './code'

/** ClaimStep is what is going on. */
export type ClaimStep = 'asking' | 'making' | 'signing' | 'waiting' | 'entering'

/** How many blocks the transaction may wait. */
const expiryBlocks = 100n

const part = (s: string) => concat(u64(utf8(s).length), utf8(s))

/** claimDigest is what the code signs to ask whether it is open (gateway/portal/claim.go). */
export const claimDigest = (chain: string, origin: string, account: Uint8Array, nonce: Uint8Array): Uint8Array =>
  sha256(concat(utf8('salus/portal-claim/v1\0'), part(chain), part(origin), account, nonce))

/** Made is a passkey that a broken-off claim left: the next try uses it. */
export interface Made {
  current?: { readonly account: string; readonly key: Registered }
}

/**
 * claim takes a code's record over and signs in. The code is asked about before a
 * passkey is made: a new one would replace the one that a used code already has.
 * @throws Problem claim, claimed, late, and those of the passkey; Refusal
 */
export async function claim(about: About, code: ClaimCode, made: Made, step: (s: ClaimStep) => void): Promise<SessionInfo> {
  const by = claimSigner(code.account, code.secret)
  const account = accountText(code.account)
  step('asking')
  const nonce = await challenge()
  const asked = await by.sign(claimDigest(about.chain, window.location.origin, code.account, nonce))
  const open = await postJSON<{ nonce: number; height: number }>('claim/start', { account, key: keyText(by.key), proof: { nonce: encode64(nonce), signature: base64url(asked.sig) } })
  step('making')
  if (made.current?.account !== account) made.current = { account, key: await makePasskey(about, code.account) }
  const own = made.current.key
  step('signing')
  const prepared = prepare('identity.claim', { patient: code.account, key: own.key, claimKey: by.key }, {
    chain: about.chain, signer: code.account, nonce: BigInt(open.nonce), expiry: BigInt(open.height) + expiryBlocks,
  })
  const signature = signatureOf(code.account, own.key, prepared.id, await confirm(about, prepared.id, own.credentialId), { origins: [about.origin], requireUV: true })
  const { raw } = await sign(prepared, { account: code.account, key: own.key, sign: () => Promise.resolve(signature) }, by)
  step('waiting')
  await send(raw)
  step('entering')
  return enterAs(about, code.account, [own.credentialId])
}

async function confirm(about: About, digest: Uint8Array, credential: Uint8Array): Promise<AuthenticatorAssertionResponse> {
  let c: Credential | null = null
  try {
    c = await navigator.credentials.get({ publicKey: requestOptions(digest, about.rpId, [credential]) })
  } catch {
    c = null
  }
  if (!(c instanceof PublicKeyCredential)) throw new Problem('passkey', 'portal: no assertion')
  return assertion(c)
}

/** send waits for the block. "unknown" is no block in time. @throws Problem late, Refusal */
async function send(raw: Uint8Array): Promise<void> {
  let b: Uint8Array
  try {
    b = await postBytes('claim', new Uint8Array(raw))
  } catch (err) {
    if (err instanceof Problem && err.code === 'unknown') throw new Problem('late', 'portal: no block took the claim yet')
    throw err
  }
  const got: unknown = JSON.parse(new TextDecoder().decode(b))
  if (typeof got !== 'object' || got === null || !('code' in got) || typeof got.code !== 'number') throw new Problem('other', 'portal: the answer is no result')
  if (got.code !== 0) throw new Refusal(got.code, 'text' in got ? String(got.text) : '')
}
