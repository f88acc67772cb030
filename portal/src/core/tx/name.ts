/** Names on the ledger and their text forms: spec/tx.md section 4. */
import { hex, unhex } from '../wire/bytes.ts'
import { fixed } from '../wire/schema.ts'
import { badText } from './codes.ts'

export const accountSchema = fixed(16)
export const hashSchema = fixed(32)
export const keyIdSchema = fixed(16)

/** zeroHash stands for none. */
export const zeroHash = (): Uint8Array => new Uint8Array(32)

const crockford = '0123456789abcdefghjkmnpqrstvwxyz'

/** accountText writes an account in 26 characters of Crockford's base32. */
export function accountText(a: Uint8Array): string {
  if (a.length !== 16) throw badText()
  let v = 0n
  for (const b of a) v = (v << 8n) | BigInt(b)
  let s = ''
  for (let i = 25n; i >= 0n; i--) s += crockford[Number((v >> (5n * i)) & 31n)]
  return s
}

/** parseAccount reads that text, and no other. @throws Refusal text */
export function parseAccount(s: string): Uint8Array {
  if (!/^[0-7][0-9a-hjkmnp-tv-z]{25}$/.test(s)) throw badText()
  let v = 0n
  for (const c of s) v = (v << 5n) | BigInt(crockford.indexOf(c))
  const out = new Uint8Array(16)
  for (let i = 15; i >= 0; i--) {
    out[i] = Number(v & 0xffn)
    v >>= 8n
  }
  return out
}

/** hashText and keyIdText write lower case hexadecimal digits. */
export const hashText = hex
export const keyIdText = hex

function parseHex(s: string, size: number): Uint8Array {
  const b = unhex(s)
  if (b === undefined || b.length !== size) throw badText()
  return b
}

/** parseHash reads 64 lower case digits. @throws Refusal text */
export const parseHash = (s: string): Uint8Array => parseHex(s, 32)

/** parseKeyId reads 32 lower case digits. @throws Refusal text */
export const parseKeyId = (s: string): Uint8Array => parseHex(s, 16)
