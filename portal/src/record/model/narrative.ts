/**
 * The narrative of a resource (FHIR R4 section 2.4.0.1), read as a tree of few
 * known elements without any attribute. Nothing is ever handed to the browser
 * as markup; what is not known is taken as the text in it, and what is program or
 * style is taken as nothing.
 */
import { clean } from './value.ts'

export type Tag = 'p' | 'div' | 'span' | 'strong' | 'em' | 'ul' | 'ol' | 'li' | 'table' | 'thead' | 'tbody' | 'tr' | 'th' | 'td' | 'br' | 'hr' | 'pre' | 'code' | 'sub' | 'sup' | 'blockquote'

export interface Element {
  readonly tag: Tag
  readonly children: Tree
}
export type Tree = readonly (string | Element)[]

const tags: ReadonlyMap<string, Tag> = new Map<string, Tag>([
  ...(['p', 'div', 'span', 'strong', 'em', 'ul', 'ol', 'li', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'br', 'hr', 'pre', 'code', 'sub', 'sup', 'blockquote'] as const).map((t): [string, Tag] => [t, t]),
  ['b', 'strong'], ['i', 'em'], ['tfoot', 'tbody'], ['dl', 'div'], ['dt', 'p'], ['dd', 'p'], ['caption', 'p'],
  ['h1', 'p'], ['h2', 'p'], ['h3', 'p'], ['h4', 'p'], ['h5', 'p'], ['h6', 'p'], ['q', 'em'], ['cite', 'em'], ['tt', 'code'], ['small', 'span'], ['big', 'span'],
])
const empty = new Set(['br', 'hr', 'img', 'col', 'wbr', 'input', 'meta', 'link', 'base', 'embed', 'source', 'track', 'param', 'area'])
const dropped = new Set(['script', 'style', 'iframe', 'object', 'template', 'svg', 'math', 'textarea', 'title', 'noscript', 'noembed', 'noframes', 'xmp', 'select', 'form', 'head', 'audio', 'video', 'canvas'])

const maxNodes = 5000
const maxDepth = 40
const maxLength = 200_000
const token = /<!--[\s\S]*?(?:-->|$)|<!\[CDATA\[[\s\S]*?(?:\]\]>|$)|<[!?][^>]*>?|<(\/?)([A-Za-z][A-Za-z0-9:-]*)((?:"[^"]*"|'[^']*'|[^<>"'])*)>/g
const names: ReadonlyMap<string, string> = new Map([['amp', '&'], ['lt', '<'], ['gt', '>'], ['quot', '"'], ['apos', "'"], ['nbsp', '\u00a0']])

const entities = (s: string): string =>
  s.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z]{2,8}));/g, (whole, dec?: string, hex?: string, name?: string) => {
    if (name !== undefined) return names.get(name) ?? whole
    const n = dec !== undefined ? Number(dec) : parseInt(hex ?? '', 16)
    return n > 0 && n < 0x110000 && (n < 0xd800 || n > 0xdfff) ? String.fromCodePoint(n) : ''
  })

interface Open {
  readonly name: string
  readonly tag: Tag | undefined
  readonly children: (string | Element)[]
}

/** narrative reads the div of a resource. It takes any text, and always ends. */
export function narrative(div: string): Tree {
  const s = div.slice(0, maxLength)
  const root: Open = { name: '', tag: undefined, children: [] }
  const stack: Open[] = [root]
  let nodes = 0
  let from = 0
  let drop = '' // within an element whose content means nothing here
  const top = () => stack[stack.length - 1] ?? root
  const say = (raw: string) => {
    const t = cleanLine(entities(raw))
    if (drop === '' && t !== '' && nodes++ < maxNodes) top().children.push(t)
  }
  const close = (name: string) => {
    const at = stack.findLastIndex((o) => o.name === name)
    while (at > 0 && stack.length > at) {
      const o = stack.pop()
      if (o === undefined) break
      if (o.tag !== undefined) top().children.push({ tag: o.tag, children: fitting(o.tag, o.children) })
      else top().children.push(...o.children)
    }
  }
  for (const m of s.matchAll(token)) {
    say(s.slice(from, m.index))
    from = m.index + m[0].length
    const name = (m[2] ?? '').toLowerCase()
    if (name === '') continue
    if (drop !== '') {
      if (m[1] === '/' && name === drop) drop = ''
      continue
    }
    if (m[1] === '/') {
      close(name)
      continue
    }
    const selfClosed = (m[3] ?? '').endsWith('/')
    if (dropped.has(name)) {
      if (!selfClosed) drop = name
      continue
    }
    if (nodes++ >= maxNodes) continue
    const tag = tags.get(name)
    if (empty.has(name) || selfClosed) {
      if (tag === 'br' || tag === 'hr') top().children.push({ tag, children: [] })
    } else if (stack.length < maxDepth) stack.push({ name, tag, children: [] })
  }
  say(s.slice(from))
  while (stack.length > 1) close(top().name)
  return root.children
}

const cleanLine = (s: string): string => {
  const t = clean(s)
  if (t === '') return s === '' ? '' : ' '
  return (/^\s/.test(s) ? ' ' : '') + t + (/\s$/.test(s) ? ' ' : '')
}

const inside: Partial<Record<Tag, readonly Tag[]>> = { ul: ['li'], ol: ['li'], table: ['thead', 'tbody', 'tr'], thead: ['tr'], tbody: ['tr'], tr: ['th', 'td'] }

/** fitting puts what may not stand in a list or table into an element that may. */
function fitting(tag: Tag, children: Tree): Tree {
  const may = inside[tag]
  if (may === undefined) return children
  const wrap: readonly Tag[] = tag === 'ul' || tag === 'ol' ? ['li'] : tag === 'tr' ? ['td'] : tag === 'table' ? ['tr', 'td'] : ['tr', 'td']
  return children.flatMap((c): Tree => {
    if (typeof c === 'string' ? c.trim() === '' : c.tag === 'br' || c.tag === 'hr') return []
    if (typeof c !== 'string' && may.includes(c.tag)) return [c]
    return [wrap.reduceRight<string | Element>((inner, t) => ({ tag: t, children: [inner] }), c)]
  })
}

/** words gives the text of a tree, for search and paper. */
export const words = (t: Tree): string => t.map((c) => (typeof c === 'string' ? c : c.tag === 'br' ? '\n' : words(c.children) + (['span', 'strong', 'em', 'sub', 'sup', 'code'].includes(c.tag) ? '' : '\n'))).join('')
