import { expect, test } from 'vitest'
import { Problem } from '../app/api'
import { firstTold } from './which'

const open = new AbortController().signal
const silent = (signal: AbortSignal) => new Promise<undefined>((_, reject) => signal.addEventListener('abort', () => reject(new Error('called off'))))

test('the first custodian that tells is enough, whatever the others do', async () => {
  const off: number[] = []
  const told = await firstTold(4, async (i, signal) => {
    signal.addEventListener('abort', () => off.push(i))
    if (i === 0) return silent(signal)
    if (i === 1) throw new Error('away')
    return i === 2 ? undefined : 'the list'
  }, open)
  expect(told).toBe('the list')
  expect(off).toContain(0) // it is not asked any more
})

test('nobody tells', async () => {
  await expect(firstTold(3, (i) => (i === 0 ? Promise.reject(new Error('away')) : Promise.resolve(undefined)), open)).rejects.toMatchObject({ code: 'noList' })
  await expect(firstTold(0, () => Promise.resolve('x'), open)).rejects.toMatchObject({ code: 'noList' })
})

test('who is not signed in any more hears that', async () => {
  await expect(firstTold(2, (i) => (i === 0 ? Promise.resolve(undefined) : Promise.reject(new Problem('session', 'portal: sign in'))), open)).rejects.toMatchObject({ code: 'session' })
})

test('who leaves the page ends it', async () => {
  const leave = new AbortController()
  const asking = firstTold(2, (_, signal) => silent(signal), leave.signal)
  leave.abort(new Error('left'))
  await expect(asking).rejects.toThrow('left')
})
