/** The portal's API (gateway/portal/routes.go), as the views use it. */

/** Problem is an error with a stable code: the gateway's, or "offline", "passkey", "noPasskeys". */
export class Problem extends Error {
  readonly code: string
  constructor(code: string, text: string) {
    super(text)
    this.name = 'Problem'
    this.code = code
  }
}

async function call(method: string, path: string, body?: BodyInit, type?: string, signal?: AbortSignal): Promise<Response> {
  let r: Response
  try {
    r = await fetch(`/api/${path}`, {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      ...(body === undefined ? {} : { body, headers: { 'Content-Type': type ?? 'application/json' } }),
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (err) {
    if (signal?.aborted === true) throw err
    throw new Problem('offline', 'portal: no answer')
  }
  if (r.ok) return r
  const p: unknown = await r.json().catch(() => null)
  if (typeof p === 'object' && p !== null && 'code' in p && 'text' in p) throw new Problem(String(p.code), String(p.text))
  throw new Problem('other', String(r.status))
}

/** getJSON reads an answer that the gateway made from a Go struct; T is its shape. */
export const getJSON = async <T>(path: string, signal?: AbortSignal): Promise<T> => (await (await call('GET', path, undefined, undefined, signal)).json()) as T

/** postJSON sends a JSON value; T is the answer's shape, undefined for an answer without a body. */
export const postJSON = async <T>(path: string, value: unknown): Promise<T> => {
  const r = await call('POST', path, JSON.stringify(value))
  return (r.status === 204 ? undefined : await r.json()) as T
}

/** postJSONBytes sends a JSON value for CBOR. */
export const postJSONBytes = async (path: string, value: unknown): Promise<Uint8Array> => new Uint8Array(await (await call('POST', path, JSON.stringify(value))).arrayBuffer())

/** getBytes reads CBOR or protobuf. */
export const getBytes = async (path: string, signal?: AbortSignal): Promise<Uint8Array> => new Uint8Array(await (await call('GET', path, undefined, undefined, signal)).arrayBuffer())

/** postBytes sends CBOR, or bytes of another type. */
export const postBytes = async (path: string, value: Uint8Array<ArrayBuffer>, type = 'application/cbor', signal?: AbortSignal): Promise<Uint8Array> => new Uint8Array(await (await call('POST', path, value, type, signal)).arrayBuffer())

/** remove is DELETE. */
export const remove = async (path: string): Promise<void> => {
  await call('DELETE', path)
}

export interface About {
  readonly name: string
  readonly member: string
  readonly chain: string
  readonly origin: string
  readonly rpId: string
  readonly signUp: boolean
  readonly staff: boolean
}
export interface SessionInfo {
  readonly role: 'patient' | 'staff' | 'admin' | 'newcomer'
  readonly account: string
  readonly name?: string
  /** staff: purpose of use, an HL7 code */
  readonly purpose?: string
  readonly idle: number
  readonly ends: string
}
export interface Head {
  readonly height: number
  readonly time: number
  readonly appHash: string
}
export interface Member {
  readonly account: string
  readonly name: string
  readonly clinical: boolean
  readonly validator: boolean
  readonly active: boolean
}
export interface Block {
  readonly height: number
  readonly time: string
  readonly hash: string
  readonly txs: number
  readonly proposer: string
}
