import { hex } from '../core'
import { useText } from '../app/text/text'
import type { Flags } from './flags'
import type { Line } from './sentence'

/** Flagged says in the line of an emergency why it is looked at sooner. */
export function Flagged({ line, flags }: { readonly line: Pick<Line, 'action' | 'session'>; readonly flags: Flags }) {
  const { t } = useText()
  const own = line.action === 11 && line.session !== undefined ? (flags.get(hex(line.session)) ?? []) : []
  return own.length === 0 ? null : <p className="hint">{t('eme.flag')} {own.map((f) => t(`eme.flag.${f}`)).join(' ')}</p>
}
