import { Button, Checkbox, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { postJSON } from '../app/api'
import { Failure } from '../app/part/load'
import type { Key } from '../app/text/en'
import { useText } from '../app/text/text'

/** The privileges, as bits (spec/identity.md). */
export const privileges = [1, 2, 4, 8, 16, 32] as const

/** Register has the node draw a key and put it on the ledger. */
export function Register({ registered }: { readonly registered: () => void }) {
  const { t } = useText()
  const [name, setName] = useState('')
  const [roles, setRoles] = useState('')
  const [device, setDevice] = useState(false)
  const [bits, setBits] = useState(3)
  const [bad, setBad] = useState(false)
  const [state, setState] = useState<'idle' | 'working' | string>('idle')
  const [error, setError] = useState<unknown>()
  const send = async (e: FormEvent) => {
    e.preventDefault()
    const ok = /^[a-z0-9][a-z0-9-]{0,39}$/.test(name)
    setBad(!ok)
    if (!ok) return
    setError(undefined)
    setState('working')
    try {
      await postJSON(`admin/staff/${name}`, { device, roles: [...new Set(roles.split(',').map((r) => r.trim()).filter((r) => r !== ''))].sort(), privileges: bits })
      setState(`done ${name}`)
      setName('')
      registered()
    } catch (err) {
      setError(err)
      setState('idle')
    }
  }
  return (
    <form className="card" onSubmit={(e) => void send(e)} noValidate>
      <p className="hint">{t('org.register.hint')}</p>
      <TextInput label={t('org.register.name')} value={name} onChange={(e) => setName(e.currentTarget.value)} error={bad ? t('org.register.name.bad') : undefined} maxLength={40} autoComplete="off" spellCheck={false} />
      <TextInput label={t('org.register.roles')} value={roles} onChange={(e) => setRoles(e.currentTarget.value)} maxLength={400} autoComplete="off" />
      <fieldset className="clinic-row">
        <legend>{t('org.privileges')}</legend>
        {privileges.map((p) => <Checkbox key={p} label={t(`org.priv.${p}` as Key)} checked={(bits & p) !== 0} onChange={() => setBits((b) => b ^ p)} />)}
      </fieldset>
      <Checkbox label={t('org.register.device')} checked={device} onChange={(e) => setDevice(e.currentTarget.checked)} />
      <Button type="submit" disabled={state === 'working'}>{t('org.register.do')}</Button>
      <div role="status">
        {state === 'working' && <p>{t('org.register.working')}</p>}
        {state.startsWith('done ') && <p className="note note-good">{t('org.register.done', { name: state.slice(5) })}</p>}
      </div>
      {error !== undefined && <Failure error={error} />}
    </form>
  )
}
