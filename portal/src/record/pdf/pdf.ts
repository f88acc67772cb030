/**
 * A small writer of PDF 1.4 (ISO 32000-1): A4 pages of lines in Courier, one of the
 * fonts that every reader has. Every glyph of it is 600 units wide, so lines break without a table of
 * widths. Text is in WinAnsiEncoding (Annex D.2); what it lacks is folded to its base
 * letter, else printed as "?", and counted.
 */
export interface Line {
  readonly text: string
  readonly style: 'title' | 'head' | 'strong' | 'plain'
  /** columns to indent */
  readonly indent?: number
}

export interface Paper {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly pages: number
  /** characters that could not be printed */
  readonly lost: number
}

const page = { width: 595, height: 842, margin: 50 } as const
const sizes = { title: 16, head: 12, strong: 9, plain: 9 } as const
const leads = { title: 24, head: 22, strong: 13, plain: 12 } as const

/** The codes 80 to 9f of windows-1252; a blank where there is none. */
const high = '€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ'

/** winAnsi maps characters to codes: ASCII, Latin-1, and those between. */
const winAnsi: ReadonlyMap<string, number> = (() => {
  const m = new Map<string, number>()
  for (let i = 0x20; i < 0x100; i++) {
    const c = i >= 0x80 && i < 0xa0 ? (high[i - 0x80] ?? ' ') : String.fromCharCode(i)
    if (i !== 0x7f && !m.has(c)) m.set(c, i)
  }
  return m
})()

/** encode gives the codes of a text and how many characters were lost. */
export function encode(text: string): { codes: number[]; lost: number } {
  const codes: number[] = []
  let lost = 0
  for (const c of text.normalize('NFC')) {
    const code = winAnsi.get(c)
    if (code !== undefined) {
      codes.push(code)
      continue
    }
    const base = winAnsi.get(c.normalize('NFKD').replace(/\p{M}/gu, '').charAt(0) || '\0')
    if (/\p{M}|\p{Cf}|\p{Cc}/u.test(c)) continue
    codes.push(base ?? 0x3f)
    if (base === undefined) lost++
  }
  return { codes, lost }
}

const literal = (codes: readonly number[]): string => `<${codes.map((c) => c.toString(16).padStart(2, '0')).join('')}>`

/** wrap breaks codes at spaces into lines of at most n. */
export function wrap(codes: readonly number[], n: number): number[][] {
  const out: number[][] = []
  let from = 0
  while (codes.length - from > n) {
    let to = codes.lastIndexOf(0x20, from + n)
    if (to <= from) to = from + n
    out.push(codes.slice(from, to))
    from = codes[to] === 0x20 ? to + 1 : to
  }
  out.push(codes.slice(from))
  return out
}

/** paper lays lines out; foot gives the line at the bottom of each page. */
export function paper(lines: readonly Line[], title: string, foot: (page: number, of: number) => string): Paper {
  const pages: string[][] = [[]]
  let y: number = page.height - page.margin
  let lost = 0
  for (const l of lines) {
    const size = sizes[l.style]
    const x = page.margin + (l.indent ?? 0) * 0.6 * size
    const columns = Math.max(Math.floor((page.width - page.margin - x) / (0.6 * size)), 10)
    for (const part of l.text.split('\n')) {
      const e = encode(part)
      lost += e.lost
      for (const codes of wrap(e.codes, columns)) {
        // A head does not stand alone at the end of a page.
        if (y - leads[l.style] < page.margin + (l.style === 'head' ? 60 : 20)) {
          pages.push([])
          y = page.height - page.margin
        }
        y -= leads[l.style]
        pages[pages.length - 1]?.push(`BT /${l.style === 'plain' ? 'F1' : 'F2'} ${size} Tf ${x.toFixed(1)} ${y.toFixed(1)} Td ${literal(codes)} Tj ET`)
      }
    }
  }
  for (const [i, p] of pages.entries()) p.push(`BT /F1 8 Tf ${page.margin} 30 Td ${literal(encode(foot(i + 1, pages.length)).codes)} Tj ET`)
  return { bytes: assemble(pages.map((p) => p.join('\n')), title), pages: pages.length, lost }
}

/** utf16 writes a text string of the document's own data (section 7.9.2.2). */
const utf16 = (s: string): string => `<feff${Array.from({ length: s.length }, (_, i) => s.charCodeAt(i).toString(16).padStart(4, '0')).join('')}>`

function assemble(contents: readonly string[], title: string): Uint8Array<ArrayBuffer> {
  const first = 6
  const kids = contents.map((_, i) => `${first + 2 * i} 0 R`).join(' ')
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /DisplayDocTitle true >> >>',
    `<< /Type /Pages /Count ${contents.length} /Kids [${kids}] >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>',
    '<< /Type /Font /Subtype /Type1 /BaseFont /Courier-Bold /Encoding /WinAnsiEncoding >>',
    `<< /Title ${utf16(title)} /Producer (Salus) >>`,
    ...contents.flatMap((c, i) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${page.width} ${page.height}] /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> /Contents ${first + 2 * i + 1} 0 R >>`,
      `<< /Length ${c.length} >>\nstream\n${c}\nendstream`,
    ]),
  ]
  const out: string[] = ['%PDF-1.4\n']
  let at = out[0]?.length ?? 0
  const offsets = objects.map((o, i) => {
    const from = at
    const text = `${i + 1} 0 obj\n${o}\nendobj\n`
    out.push(text)
    at += text.length
    return from
  })
  out.push(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.map((o) => `${String(o).padStart(10, '0')} 00000 n \n`).join('')}`)
  out.push(`trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 5 0 R >>\nstartxref\n${at}\n%%EOF\n`)
  return new TextEncoder().encode(out.join('')) // ASCII throughout: offsets are bytes
}
