/**
 * The claim code as people handle it: 80 characters of Crockford's base32, which
 * are pseudonym (16 bytes), secret (32) and a check (2): the first bytes of
 * SHA-256("salus/code/v1" 00 || pseudonym || secret). Written in groups of
 * four; read in either case, with any spaces and dashes. record/code.go makes
 * the same. Whoever has the code can take the record: it is shown once, to the
 * patient in person, and never sent.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, equal, utf8 } from '../core'

/** ClaimCode is what the code says. */
export interface ClaimCode {
  readonly account: Uint8Array
  readonly secret: Uint8Array
}

/** CodeFault: too few or too many characters, one that is in no code, or a slip of the pen. */
export type CodeFault = 'empty' | 'length' | 'letter' | 'check'

export class CodeError extends Error {
  readonly fault: CodeFault
  constructor(fault: CodeFault) {
    super(`claim: the code is unreadable (${fault})`)
    this.name = 'CodeError'
    this.fault = fault
  }
}

/** letters in a code */
export const codeLength = 80
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

const check = (account: Uint8Array, secret: Uint8Array): Uint8Array => sha256(concat(utf8('salus/code/v1\0'), account, secret)).subarray(0, 2)

/** codeText writes a code in groups of four. */
export function codeText(c: ClaimCode): string {
  if (c.account.length !== 16 || c.secret.length !== 32) throw new CodeError('length')
  const b = concat(c.account, c.secret, check(c.account, c.secret))
  let out = ''
  let have = 0
  let bits = 0
  for (const v of b) {
    have = ((have << 8) | v) & 0xfff
    bits += 8
    for (; bits >= 5; bits -= 5) out += alphabet[(have >>> (bits - 5)) & 31] ?? ''
  }
  return out.replace(/(.{4})(?=.)/g, '$1-')
}

/** parseCode reads what a person typed, or the address of a claim link. @throws CodeError */
export function parseCode(typed: string): ClaimCode {
  const s = (codeInLink(typed) ?? typed).toLowerCase().replace(/[\s\-–—‐‑_.]/g, '').replace(/o/g, '0').replace(/[il]/g, '1')
  if (s === '') throw new CodeError('empty')
  if (/[^0-9a-hjkmnp-tv-z]/.test(s)) throw new CodeError('letter')
  if (s.length !== codeLength) throw new CodeError('length')
  const b = new Uint8Array(50)
  let have = 0
  let bits = 0
  let at = 0
  for (const c of s) {
    have = ((have << 5) | alphabet.indexOf(c)) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      b[at++] = have >>> bits
    }
  }
  const account = b.slice(0, 16)
  const secret = b.slice(16, 48)
  if (!equal(b.slice(48), check(account, secret))) throw new CodeError('check')
  return { account, secret }
}

/** claimPath is the view of a claim; the code follows it in a link, in the fragment, which no server sees. */
const claimPath = '#/patient/claim'

/** claimLink is what the QR code of a claim says. */
export const claimLink = (origin: string, c: ClaimCode): string => `${origin}/${claimPath}/${codeText(c).replaceAll('-', '')}`

/** codeInLink is the code in an address or a fragment, if there is one. */
export function codeInLink(address: string): string | undefined {
  const at = address.indexOf(`${claimPath}/`)
  return at < 0 ? undefined : address.slice(at + claimPath.length + 1)
}
