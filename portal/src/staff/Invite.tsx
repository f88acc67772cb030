import { Button, NativeSelect } from '@mantine/core'
import { useCallback, useState } from 'react'
import { getJSON, postJSON, remove } from '../app/api'
import { Failure, Load } from '../app/part/load'
import { useText } from '../app/text/text'
import { KeyList } from './Keys'
import type { Registered } from './passkey'

/** Invite is where an administrator makes a one-time code for somebody of the staff, and looks after her passkeys. */
export function Invite({ names }: { readonly names: readonly string[] }) {
  const { t } = useText()
  const [chosen, setChosen] = useState('')
  const name = names.includes(chosen) ? chosen : names[0]
  return (
    <section aria-labelledby="invite">
      <h2 id="invite">{t('staff.invite')}</h2>
      <p className="hint">{t('staff.invite.hint')}</p>
      {name !== undefined && (
        <>
          <NativeSelect label={t('staff.invite.who')} value={name} onChange={(e) => setChosen(e.currentTarget.value)} data={[...names]} />
          <One key={name} name={name} />
        </>
      )}
    </section>
  )
}

function One({ name }: { readonly name: string }) {
  const { t, time } = useText()
  const [turn, setTurn] = useState(0)
  const [code, setCode] = useState<{ readonly code: string; readonly expires: string }>()
  const [error, setError] = useState<unknown>()
  const fetch = useCallback((signal: AbortSignal) => {
    void turn
    return getJSON<Registered>(`admin/staff/${name}/passkeys`, signal)
  }, [name, turn])
  const run = (what: Promise<void>) => {
    setError(undefined)
    what.catch(setError)
  }
  return (
    <>
      <div className="buttons"><Button variant="default" onClick={() => run(postJSON<{ code: string; expires: string }>(`admin/staff/${name}/code`, {}).then(setCode))}>{t('staff.invite.do')}</Button></div>
      <div role="status">{code !== undefined && <p className="note note-good"><strong className="mono">{code.code}</strong> {t('staff.invite.code', { name, time: time(Date.parse(code.expires) / 1000) })}</p>}</div>
      {error !== undefined && <Failure error={error} />}
      <Load fetch={fetch}>{(have) => have.keys.length === 0 ? <p>{t('staff.invite.none', { name })}</p> : <KeyList keys={have.keys} busy={false} take={(k) => run(remove(`admin/staff/${name}/passkeys/${k.id}`).then(() => setTurn((n) => n + 1)))} />}</Load>
    </>
  )
}
