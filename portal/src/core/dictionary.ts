/**
 * The dictionary of compressed records as an asset of the build: a file of the
 * same origin by its hashed name. Only for the browser; Node reads the file.
 */
import url from '../../../seal/compress/dict/fhir-r4.v1.zdict?url'
import { openDictionary } from './seal/compress.ts'
import type { Dictionary } from './zstd/zstd.ts'

let loaded: Promise<Dictionary> | undefined

/** loadDictionary fetches it once; after a failure the next call tries again. */
export function loadDictionary(): Promise<Dictionary> {
  loaded ??= fetch(url, { credentials: 'same-origin' })
    .then(async (r) => {
      if (!r.ok) throw new Error('portal: the dictionary of records cannot be loaded')
      return openDictionary(new Uint8Array(await r.arrayBuffer()))
    })
    .catch((err: unknown) => {
      loaded = undefined
      throw err
    })
  return loaded
}
