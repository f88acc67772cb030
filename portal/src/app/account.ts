import { parseAccount } from '../core'

/** isAccount reports whether a text is an account's name. */
export function isAccount(s: string): boolean {
  try {
    parseAccount(s)
    return true
  } catch {
    return false
  }
}
