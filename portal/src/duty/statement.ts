/** Statements of staff: the text stays with who wrote it, the ledger gets a salted commitment (package record's Statement). */
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, hex, utf8 } from '../core'

/** Statement is what is kept, so that it can be shown later what was said. */
export interface Statement {
  readonly file: string
  readonly commitment: string
}

/** stated commits to a text about a case. salt has 32 bytes. */
export function stated(about: string, text: string, salt: Uint8Array = crypto.getRandomValues(new Uint8Array(32))): Statement {
  return {
    file: JSON.stringify({ case: about, salt: hex(salt), statement: text }, undefined, 2) + '\n',
    commitment: hex(sha256(concat(utf8('salus/emergency/v1\0'), salt, utf8(text)))),
  }
}
