import { sha256 } from '@noble/hashes/sha2.js'
import { expect, test } from 'vitest'
import { bytesOf, file, vectors } from '../testing.ts'
import { hex } from '../wire/bytes.ts'
import { decompress, dictionaryName, openDictionary } from './compress.ts'
import { SealError } from './error.ts'

const dictionary = openDictionary(file(`seal/compress/dict/${dictionaryName}`))

test.each(vectors<{ name: string; packed: string; sha256?: string; valid: boolean }[]>('seal/compress.json').map((c, i) => [`${c.name} (${i})`, c] as const))('%s', (_, c) => {
  let got: string | undefined
  try {
    got = hex(sha256(decompress(bytesOf(c.packed), dictionary, 1 << 20)))
  } catch (err) {
    expect(err).toBeInstanceOf(SealError)
  }
  expect(got).toBe(c.valid ? c.sha256 : undefined)
})

test('a record beyond the limit is refused before it is made', () => {
  const c = vectors<{ name: string; packed: string }[]>('seal/compress.json').find((x) => x.name === 'long, repeating')
  expect(() => decompress(bytesOf(c?.packed ?? ''), dictionary, 1000)).toThrow(SealError)
})
