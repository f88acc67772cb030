import fc from 'fast-check'
import { expect, test } from 'vitest'
import { equal, type Grant } from '../core/index.ts'
import { arbitraries } from '../core/tx/arbitrary.ts'
import { validate } from '../core/tx/validate.ts'
import { changeOf } from './signed.ts'

const patient = new Uint8Array(16).fill(1)
const given = arbitraries['consent.grant'].map((m) => m.grant as Grant)
const three = fc.uniqueArray(given, { minLength: 3, maxLength: 3, selector: (g) => g.id.join() })

test('what she signs is one change that the ledger takes', () => {
  fc.assert(fc.property(three, fc.constantFrom('grant', 'revoke', undefined), fc.boolean(), (grants, how, nobodyElse) => {
    const [grant, other, old] = grants as [Grant, Grant, Grant]
    const c = changeOf(patient, { grant, meanwhile: how === 'grant' ? other : how }, nobodyElse, old.id)
    validate('consent.change', c)
    expect(c.give.length).toBe(how === 'grant' ? 2 : 1)
    expect(c.give).toContain(grant)
    expect(c.revoke.length).toBe(nobodyElse || how === 'revoke' ? 1 : 0)
    if (nobodyElse) expect(c.revoke[0]).toEqual(new Uint8Array(16)) // whatever else there is by then
    else if (how === 'revoke') expect(equal(c.revoke[0] as Uint8Array, old.id)).toBe(true)
  }))
})
