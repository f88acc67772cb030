/**
 * Why a sealed batch does not open; the words are stable.
 *
 * - invalid: arguments or a header that no sound caller uses
 * - proof: a path that does not lead to its root
 * - ciphertext: not the bytes that the manifest commits to; fetch them elsewhere
 * - author: what the author committed to contradicts itself
 * - open: does not open under this key and these bindings
 * - too-few: fewer usable shares than the threshold
 * - disputed: shares contradict each other, and the shares alone do not tell whose are wrong
 * - mismatch: shares that do not give the committed key, and too few to tell whose is wrong
 * - corrupt: a compressed record that does not decompress
 */
export type SealFault = 'invalid' | 'proof' | 'ciphertext' | 'author' | 'open' | 'too-few' | 'disputed' | 'mismatch' | 'corrupt'

/** SealError says which check failed, and which custodians were found out on the way. It never holds a secret. */
export class SealError extends Error {
  readonly fault: SealFault
  /** indices of custodians, 1-based, rising, that sent wrong shares */
  readonly custodians: readonly number[]

  constructor(fault: SealFault, sentence: string, custodians: readonly number[] = []) {
    super(sentence)
    this.name = 'SealError'
    this.fault = fault
    this.custodians = custodians
  }
}
