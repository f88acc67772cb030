import { useMemo } from 'react'
import { qr, qrPath } from './qr'

/** Qr draws a text as a QR code, black on white in both colour schemes, so that every camera reads it. label says what it is. */
export function Qr({ text, label }: { readonly text: string; readonly label: string }) {
  const m = useMemo(() => qr(text), [text])
  const size = m.length + 8
  return (
    <svg className="qr" role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`} shapeRendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={qrPath(m)} fill="#000" />
    </svg>
  )
}
