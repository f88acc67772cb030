/** What the checks of messages have in common. */
import { compare } from '../wire/bytes.ts'
import type { Refusal } from '../wire/refusal.ts'

export const refuseIf = (c: boolean, r: () => Refusal): void => {
  if (c) throw r()
}

/** bitCount counts the bits set in a mask. */
export function bitCount(v: bigint): number {
  let n = 0
  for (; v > 0n; v >>= 1n) n += Number(v & 1n)
  return n
}

/** A role code, as spec/consent.md section 2 has it. */
export const roleCode = /^[A-Za-z0-9._|:/-]{1,64}$/

/** A list that must ascend without doubles. */
export const ascends = (l: readonly Uint8Array[]): boolean => l.every((v, i) => i === 0 || compare(l[i - 1] ?? v, v) < 0)
