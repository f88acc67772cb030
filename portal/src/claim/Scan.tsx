import { Button } from '@mantine/core'
import { useCallback, useEffect, useRef, useState } from 'react'
import { useText } from '../app/text/text'

/** What the Shape Detection API gives where a browser has it (Chromium on Android, macOS and ChromeOS). */
interface Detector {
  detect(of: HTMLVideoElement): Promise<readonly { readonly rawValue: string }[]>
}
type DetectorClass = new (options: { readonly formats: readonly string[] }) => Detector

/** scanner is the browser's own decoder of QR codes; undefined where it has none, or no camera can be asked for. */
function scanner(): DetectorClass | undefined {
  const found = (window as unknown as Readonly<Record<string, unknown>>)['BarcodeDetector']
  return typeof found === 'function' && typeof navigator.mediaDevices?.getUserMedia === 'function' ? (found as DetectorClass) : undefined
}

/** How often a picture is looked at, in milliseconds. */
const pace = 250

/**
 * Scan reads a QR code by the camera, and shows no button where the browser cannot. The pictures
 * stay in this page; the camera is let go when a code is read, at "Stop", and when the view goes.
 * accept says whether a text is what was looked for.
 */
export function Scan({ accept }: { readonly accept: (text: string) => boolean }) {
  const { t } = useText()
  const [on, setOn] = useState(false)
  const [refused, setRefused] = useState(false)
  const [other, setOther] = useState(false)
  const video = useRef<HTMLVideoElement>(null)
  const stop = useCallback(() => setOn(false), [])
  useEffect(() => {
    const found = scanner()
    if (!on || found === undefined) return
    const detector = new found({ formats: ['qr_code'] })
    let stream: MediaStream | undefined
    let timer = 0
    let over = false
    const look = async () => {
      const at = video.current
      try {
        const codes = at === null ? [] : await detector.detect(at)
        if (over) return
        for (const c of codes) {
          if (accept(c.rawValue)) {
            setOn(false)
            return
          }
        }
        setOther(codes.length > 0)
      } catch {
        // no picture yet
      }
      if (!over) timer = window.setTimeout(() => void look(), pace)
    }
    navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } }).then(
      (s) => {
        if (over) {
          for (const track of s.getTracks()) track.stop()
          return
        }
        stream = s
        if (video.current !== null) {
          video.current.srcObject = s
          void video.current.play().catch(() => undefined)
        }
        void look()
      },
      () => {
        setRefused(true)
        setOn(false)
      },
    )
    return () => {
      over = true
      window.clearTimeout(timer)
      for (const track of stream?.getTracks() ?? []) track.stop()
    }
  }, [on, accept])
  if (scanner() === undefined) return null
  return (
    <div className="scan">
      {on ? (
        <>
          <video ref={video} className="scan-view" muted playsInline aria-label={t('claim.scan.view')} />
          <p role="status" className="hint">{t(other ? 'claim.scan.other' : 'claim.scan.hint')}</p>
          <Button variant="default" onClick={stop}>{t('claim.scan.stop')}</Button>
        </>
      ) : <Button variant="default" onClick={() => { setRefused(false); setOther(false); setOn(true) }}>{t('claim.scan')}</Button>}
      {refused && <p role="status" className="note">{t('claim.scan.refused')}</p>}
    </div>
  )
}
