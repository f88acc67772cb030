/** The compressed form of a record: a version byte, then the record itself (0) or one zstd frame with dictionary fhir-r4.v1 (1). Package compress. */
import { type Dictionary, decompressFrame, parseDictionary } from '../zstd/zstd.ts'
import { SealError } from './error.ts'

/** dictionaryName of version 1, in seal/compress/dict of the repository; its id is 32769. */
export const dictionaryName = 'fhir-r4.v1.zdict'
const dictionaryId = 32769

/** maxPlain bounds a record. */
export const maxPlain = 16 << 20

const corrupt = (why: string) => new SealError('corrupt', `seal: ${why}`)

/** openDictionary reads the dictionary file of version 1. @throws SealError corrupt */
export function openDictionary(file: Uint8Array): Dictionary {
  let d
  try {
    d = parseDictionary(file)
  } catch {
    throw corrupt('the dictionary is damaged')
  }
  if (d.id !== dictionaryId) throw corrupt('another dictionary than that of version 1')
  return d
}

/** decompress gives the record, of at most max bytes. @throws SealError corrupt */
export function decompress(b: Uint8Array, d: Dictionary, max: number = maxPlain): Uint8Array {
  if (b[0] === 0) {
    if (b.length - 1 > max) throw corrupt('the record is larger than allowed')
    return b.slice(1)
  }
  if (b[0] !== 1) throw corrupt('unknown form of compression; this record needs a newer program')
  try {
    return decompressFrame(b.subarray(1), d, max)
  } catch {
    throw corrupt('the compressed record is damaged')
  }
}
