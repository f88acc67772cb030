/** For tests alone: the shared vectors of spec/vectors, and bytes from hexadecimal digits. Runs in Node. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unhex } from './wire/bytes.ts'

const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

/** file reads a file of the repository. */
export const file = (path: string): Uint8Array => new Uint8Array(readFileSync(join(repository, path)))

/** exists tells whether the repository has the file. */
export const exists = (path: string): boolean => existsSync(join(repository, path))

/** vectors reads a file of spec/vectors as JSON. */
export const vectors = <T>(name: string): T => JSON.parse(readFileSync(join(repository, 'spec/vectors', name), 'utf8')) as T

/** bytesOf reads hexadecimal digits. */
export function bytesOf(digits: string): Uint8Array {
  const b = unhex(digits)
  if (b === undefined) throw new Error('not hexadecimal')
  return b
}
