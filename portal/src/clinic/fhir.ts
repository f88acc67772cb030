/**
 * FHIR through the gateway (/api/fhir): the server adds the access token, which
 * says who asks and what for. Answers are other people's text: every field is
 * looked at before it is used.
 */
import { Problem } from '../app/api'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }
export type Resource = Readonly<Record<string, Json | undefined>>

/** object is a JSON object, or an empty one. */
export const object = (x: Json | undefined): Resource => (typeof x === 'object' && x !== null && !Array.isArray(x) ? (x as Resource) : {})
/** list is a JSON array, or an empty one. */
export const list = (x: Json | undefined): readonly Json[] => (Array.isArray(x) ? (x as readonly Json[]) : [])
/** str is a string, or an empty one. */
export const str = (x: Json | undefined): string => (typeof x === 'string' ? x : '')

/** Answer is what the FHIR server said: status is "stored" or "active" after a write. */
export interface Answer {
  readonly body: Resource
  readonly status: string
}

async function call(method: string, path: string, headers: Readonly<Record<string, string>>, body: string | undefined, signal: AbortSignal | undefined): Promise<Answer> {
  let r: Response
  try {
    r = await fetch(`/api/fhir/${path}`, { method, credentials: 'same-origin', cache: 'no-store', headers: { Accept: 'application/fhir+json', ...headers }, ...(body === undefined ? {} : { body }), ...(signal === undefined ? {} : { signal }) })
  } catch (err) {
    if (signal?.aborted === true) throw err
    throw new Problem('offline', 'portal: no answer')
  }
  const got = object((await r.json().catch(() => null)) as Json)
  if (r.ok) return { body: got, status: r.headers.get('Salus-Status') ?? '' }
  if (typeof got['code'] === 'string') throw new Problem(got['code'], str(got['text']))
  const issue = object(list(got['issue'])[0])
  const code = str(object(list(object(issue['details'])['coding'])[0])['code']) || str(issue['code']) || String(r.status)
  const where = str(list(issue['expression'])[0])
  throw new Problem(code, (str(object(issue['details'])['text']) || str(issue['diagnostics']) || String(r.status)) + (where === '' ? '' : ` (${where})`))
}

/** about names the patient of a request whose address does not. */
const about = (patient: string | undefined): Readonly<Record<string, string>> => (patient === undefined ? {} : { 'Salus-Patient': patient })

export const read = (path: string, patient?: string, signal?: AbortSignal): Promise<Answer> => call('GET', path, about(patient), undefined, signal)

/** create writes a resource and waits, as long as the server does, until it is active: anchored, and safe at the other members. */
export const create = (r: Resource): Promise<Answer> =>
  call('POST', str(r['resourceType']), { 'Content-Type': 'application/fhir+json', Prefer: 'return=representation', 'Salus-Wait': 'active' }, JSON.stringify(r), undefined)

/** operate calls an operation about a patient; its answer is of no use here. */
export const operate = (operation: string, patient: string, more: { readonly reason: string; readonly seconds: number } | undefined): Promise<Answer> =>
  call('POST', `Patient/${operation}`, { 'Content-Type': 'application/fhir+json' }, JSON.stringify({
    resourceType: 'Parameters',
    parameter: [{ name: 'patient', valueReference: { reference: patient } }, ...(more === undefined ? [] : [{ name: 'reason', valueCode: more.reason }, { name: 'seconds', valuePositiveInt: more.seconds }])],
  }), undefined)

/** nextOf is the path of a Bundle's next page, below /api/fhir; undefined after the last. Only its path counts, wherever it leads. */
export function nextOf(bundle: Resource): string | undefined {
  for (const l of list(bundle['link']).map(object)) {
    if (str(l['relation']) !== 'next') continue
    const m = /\/fhir\/?([^#]*)$/.exec(str(l['url']))
    return m?.[1]
  }
  return undefined
}

/** entriesOf are a Bundle's resources; outcomes are not among them. */
export const entriesOf = (bundle: Resource): Resource[] =>
  list(bundle['entry']).map((e) => object(object(e)['resource'])).filter((r) => str(r['resourceType']) !== '' && str(r['resourceType']) !== 'OperationOutcome')

/** warned reports whether the server says that it could not ask the network. */
export const warned = (bundle: Resource): boolean =>
  list(bundle['entry']).some((e) => list(object(object(e)['resource'])['issue']).some((i) => JSON.stringify(i).includes('chart-network')))
