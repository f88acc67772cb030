import { createContext, type ReactNode, use, useCallback, useEffect, useMemo, useState } from 'react'
import { de } from './de'
import { type Catalogue, en, type Key } from './en'

const languages: Readonly<Record<string, { readonly name: string; readonly catalogue: Catalogue }>> = {
  en: { name: 'English', catalogue: en },
  de: { name: 'Deutsch', catalogue: de },
}

/** Text says things in the chosen language. */
export interface Text {
  readonly language: string
  readonly languages: readonly { readonly code: string; readonly name: string }[]
  choose(code: string): void
  t(key: Key, values?: Readonly<Record<string, string | number | bigint>>): string
  /** a purpose of use by its number (spec/consent.md section 5) */
  purpose(n: number): string
  time(seconds: bigint | number): string
  /** for how long something has been so, in the largest unit that it fills */
  duration(seconds: number): string
}

const Context = createContext<Text | null>(null)
const storeKey = 'salus-language'

function first(): string {
  const kept = localStorage.getItem(storeKey)
  if (kept !== null && kept in languages) return kept
  const asked = navigator.languages.map((l) => l.slice(0, 2)).find((l) => l in languages)
  return asked ?? 'en'
}

/** textIn says things in one language; choose is what a change of it does. */
export function textIn(language: string, choose: (code: string) => void = () => undefined): Text {
  const catalogue = languages[language]?.catalogue ?? en
  const t: Text['t'] = (key, values = {}) => catalogue[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
  const format = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' })
  return {
    language,
    languages: Object.entries(languages).map(([code, l]) => ({ code, name: l.name })),
    choose,
    t,
    purpose: (n) => (`purpose.${n}` in catalogue ? catalogue[`purpose.${n}` as Key] : t('purpose.other', { code: n })),
    duration: (seconds) => {
      const [unit, of] = (seconds < 120 ? ['second', 1] : seconds < 7_200 ? ['minute', 60] : seconds < 172_800 ? ['hour', 3_600] : ['day', 86_400]) as [string, number]
      return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(Math.floor(seconds / of))
    },
    time: (seconds) => format.format(new Date(Number(seconds) * 1000)),
  }
}

/** TextProvider keeps the chosen language, and tells the page's readers. */
export function TextProvider({ children }: { readonly children: ReactNode }) {
  const [language, setLanguage] = useState(first)
  useEffect(() => {
    document.documentElement.lang = language
  }, [language])
  const choose = useCallback((code: string) => {
    if (!(code in languages)) return
    localStorage.setItem(storeKey, code)
    setLanguage(code)
  }, [])
  const value = useMemo<Text>(() => textIn(language, choose), [language, choose])
  return <Context value={value}>{children}</Context>
}

/** useText gives the catalogue in the chosen language. */
export function useText(): Text {
  const text = use(Context)
  if (text === null) throw new Error('portal: no text provider')
  return text
}
