import { expect, test } from 'vitest'
import { hex } from '../core'
import { declared, staffDigest } from './passkey'

// The same values stand in gateway/portal/staffkey_test.go.
test('a digest of staff is the one that the gateway computes', () => {
  const nonce = new Uint8Array(32).fill(7)
  expect(hex(staffDigest('test', 'https://portal.example.org', 'sign-in', nonce))).toBe('4387030e1e38b2c2b8bc6f896bd710b12e5882b81525c4413316521aff152df5')
  const what = declared({ step: 'declare', patient: 'Patient/a', reason: 'OVRER', seconds: 3600 }, '01000000000000000000000000', 1_800_000_000)
  expect(what).toBe('emergency declare 01000000000000000000000000 047d63a6a3c08439f10381ec097bad72978e761c3619fb77e236491b8a1f58f5 3600 1800000000')
  expect(hex(staffDigest('test', 'https://portal.example.org', what, nonce))).toBe('22c696c75db276178d77164016c7c37cafa53a87c914a7f4353e9650fca44c68')
})
