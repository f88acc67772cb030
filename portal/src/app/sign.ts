/**
 * Transactions signed by the passkey itself: the person confirms each one, the
 * gateway carries it, and the ledger says at which block it took effect.
 */
import {
  algPasskey, decodeAny, encode, equal, hex, type Kind, liveAt, type MessageOf, parseAccount, prepare, type Principal, principalSchema, Refusal, registered, requestOptions, type Signature, sign, signatureOf, type Signer, type PublicKey,
} from '../core'
import { accountSchema } from '../core/tx/name'
import { struct } from '../core/wire/schema'
import { type About, getBytes, getJSON, postBytes, Problem } from './api'
import { confirmedOf, confirms } from './confirmed'

/** Step is how far a transaction is; from "sent" on it cannot be taken back. */
export type Step = 'confirm' | 'sent'

/** Committed says where a transaction took effect. */
export interface Committed {
  readonly id: string
  readonly height: number
  readonly index: number
}

interface Outcome {
  readonly height: number
  readonly index: number
  readonly code: number
  readonly text: string
}

/** How many blocks a transaction may wait. */
const expiryBlocks = 100n
/** How often half a minute is waited for the block. */
const patience = 4

const byAccount = struct({ account: [1, accountSchema] })

/** principalOf asks what the ledger holds about an account. */
export const principalOf = async (account: Uint8Array, signal?: AbortSignal): Promise<Principal> =>
  decodeAny(principalSchema, await getBytes(`query/identity/principal?arg=${hex(encode(byAccount, { account }))}`, signal), 1 << 20)

/** makePasskey makes another passkey of the account, on another device or a security key. @throws Problem passkey, Refusal */
export async function makePasskey(about: About, accountText: string, signal: AbortSignal): Promise<PublicKey> {
  let made: Credential | null = null
  try {
    made = await navigator.credentials.create({
      signal,
      publicKey: {
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        rp: { id: about.rpId, name: about.name },
        user: { id: new Uint8Array(parseAccount(accountText)), name: `Salus ${accountText.slice(0, 8)}`, displayName: `Salus ${accountText.slice(0, 8)}` },
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
        // A second one of the same account on the same device would take the place of the first there.
        authenticatorSelection: { residentKey: 'required', userVerification: 'required', authenticatorAttachment: 'cross-platform' },
        excludeCredentials: confirmedOf(accountText).map((id) => ({ type: 'public-key' as const, id })),
        attestation: 'none',
        timeout: 120_000,
      },
    })
  } catch (err) {
    if (signal.aborted) throw err
  }
  if (!(made instanceof PublicKeyCredential) || !(made.response instanceof AuthenticatorAttestationResponse)) throw new Problem('passkey', 'portal: no passkey was made')
  return registered(made.response.attestationObject, about.rpId).key
}

/** confirm has the person confirm a digest with a passkey of the account, one of those in allowed if there are any. @throws Problem passkey, DOMException AbortError */
async function confirm(about: About, accountName: string, keys: readonly PublicKey[], digest: Uint8Array, allowed: readonly Uint8Array[], signal: AbortSignal): Promise<Signature> {
  const account = parseAccount(accountName)
  let c: Credential | null = null
  try {
    c = await navigator.credentials.get({ publicKey: requestOptions(digest, about.rpId, allowed), signal })
  } catch (err) {
    if (signal.aborted) throw err
  }
  if (!(c instanceof PublicKeyCredential) || !(c.response instanceof AuthenticatorAssertionResponse)) throw new Problem('passkey', 'portal: no assertion')
  const handle = c.response.userHandle
  if (handle !== null && !equal(new Uint8Array(handle), account)) throw new Problem('otherPasskey', 'portal: a passkey of another account')
  // The ledger names keys by their bytes, an assertion by its credential: the key that verifies is the one.
  let fault: unknown
  for (const key of keys) {
    try {
      const signature = signatureOf(account, key, digest, c.response, { origins: [about.origin], requireUV: true })
      confirms(accountName, c)
      return signature
    } catch (err) {
      fault = err
    }
  }
  throw fault ?? new Problem('otherPasskey', 'portal: no live passkey')
}

/**
 * submit signs a message by the passkey and waits for its block. signal breaks
 * it off until it is sent. allowed are the credentials that may sign; none: any.
 * @throws Problem, Refusal, DOMException AbortError
 */
export async function submit<K extends Kind>(about: About, accountText: string, kind: K, message: MessageOf<K>, step: (s: Step) => void, signal: AbortSignal, allowed: readonly Uint8Array[] = []): Promise<Committed> {
  const account = parseAccount(accountText)
  const [{ nonce, height }, who] = await Promise.all([getJSON<{ nonce: number; height: number }>('nonce', signal), principalOf(account, signal)])
  const keys = who.keys.filter((k) => k.public.alg === algPasskey && liveAt(k, BigInt(height) + 1n)).map((k) => k.public)
  const prepared = prepare(kind, message, { chain: about.chain, signer: account, nonce: BigInt(nonce), expiry: BigInt(height) + expiryBlocks })
  step('confirm')
  const signature = await confirm(about, accountText, keys, prepared.id, allowed, signal)
  const { raw, id } = await sign(prepared, { account, key: keys[0] ?? { alg: 0, key: new Uint8Array(0), rpIdHash: new Uint8Array(0) }, sign: () => Promise.resolve(signature) })
  signal.throwIfAborted()
  step('sent')
  await postBytes('tx', new Uint8Array(raw))
  return outcome(hex(id))
}

/**
 * submitBy signs a message with a key that is here and waits for its block. Nobody is asked.
 * @throws Problem, Refusal
 */
export async function submitBy<K extends Kind>(about: About, by: Signer, kind: K, message: MessageOf<K>, signal: AbortSignal): Promise<Committed> {
  const { nonce, height } = await getJSON<{ nonce: number; height: number }>('nonce', signal)
  const { raw, id } = await sign(prepare(kind, message, { chain: about.chain, signer: by.account, nonce: BigInt(nonce), expiry: BigInt(height) + expiryBlocks }), by)
  await postBytes('tx', new Uint8Array(raw))
  return outcome(hex(id))
}

/** signDigest has the person sign what is no transaction, as the account. @throws Problem, Refusal */
export async function signDigest(about: About, accountText: string, digest: Uint8Array, signal: AbortSignal): Promise<Signature> {
  const [{ height }, who] = await Promise.all([getJSON<{ height: number }>('head', signal), principalOf(parseAccount(accountText), signal)])
  return confirm(about, accountText, who.keys.filter((k) => k.public.alg === algPasskey && liveAt(k, BigInt(height) + 1n)).map((k) => k.public), digest, [], signal)
}

/** outcome waits for the block of a transaction. @throws Problem pending, Refusal */
export async function outcome(id: string): Promise<Committed> {
  for (let i = 0; i < patience; i++) {
    try {
      const o = await getJSON<Outcome>(`tx/${id}?wait`)
      if (o.code !== 0) throw new Refusal(o.code, o.text)
      return { id, height: o.height, index: o.index }
    } catch (err) {
      if (!(err instanceof Problem) || err.code !== 'unknown') throw err
    }
  }
  throw new Problem('pending', 'portal: no block took the transaction yet')
}
