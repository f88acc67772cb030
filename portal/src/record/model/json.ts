/**
 * JSON that keeps what was sent: a number is its own text (1.10 stays 1.10), an
 * object a Map, so that no name in it means anything to JavaScript. Depth is
 * bounded. RFC 8259; a name that comes twice is refused, for readers differ in
 * which one they believe.
 */

/** Decimal is a number as it was written. */
export class Decimal {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type Obj = ReadonlyMap<string, Json>
export type Json = null | boolean | string | Decimal | readonly Json[] | Obj

const maxDepth = 64
const space = /[ \t\n\r]*/y
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

class Parser {
  private readonly s: string
  private at = 0
  constructor(s: string) {
    this.s = s
  }

  private fail(): never {
    throw new SyntaxError('record: not JSON')
  }

  private skip(): string {
    space.lastIndex = this.at
    space.test(this.s)
    this.at = space.lastIndex
    return this.s[this.at] ?? ''
  }

  whole(): Json {
    const v = this.value(0)
    if (this.skip() !== '') this.fail()
    return v
  }

  private value(depth: number): Json {
    if (depth > maxDepth) this.fail()
    switch (this.skip()) {
      case '{': return this.object(depth)
      case '[': return this.array(depth)
      case '"': return this.string()
      case 't': return this.word('true', true)
      case 'f': return this.word('false', false)
      case 'n': return this.word('null', null)
      default: return this.number()
    }
  }

  private word<T>(w: string, v: T): T {
    if (!this.s.startsWith(w, this.at)) this.fail()
    this.at += w.length
    return v
  }

  private number(): Decimal {
    number.lastIndex = this.at
    const m = number.exec(this.s)
    if (m === null) this.fail()
    this.at = number.lastIndex
    return new Decimal(m[0])
  }

  private string(): string {
    const from = this.at
    for (let i = from + 1; i < this.s.length; i++) {
      const c = this.s.charCodeAt(i)
      if (c === 0x5c) i++
      else if (c === 0x22) {
        this.at = i + 1
        const raw = this.s.slice(from, this.at)
        return JSON.parse(raw) as string // checks escapes and control characters
      }
    }
    return this.fail()
  }

  private array(depth: number): Json[] {
    const out: Json[] = []
    this.at++
    if (this.skip() === ']') {
      this.at++
      return out
    }
    for (;;) {
      out.push(this.value(depth + 1))
      const c = this.skip()
      this.at++
      if (c === ']') return out
      if (c !== ',') this.fail()
    }
  }

  private object(depth: number): Obj {
    const out = new Map<string, Json>()
    this.at++
    if (this.skip() === '}') {
      this.at++
      return out
    }
    for (;;) {
      if (this.skip() !== '"') this.fail()
      const name = this.string()
      if (out.has(name) || this.skip() !== ':') this.fail()
      this.at++
      out.set(name, this.value(depth + 1))
      const c = this.skip()
      this.at++
      if (c === '}') return out
      if (c !== ',') this.fail()
    }
  }
}

/** parseJson reads one value. @throws SyntaxError */
export const parseJson = (s: string): Json => new Parser(s).whole()

/** readJson reads one value from bytes, which must be UTF-8. @throws SyntaxError, TypeError */
export const readJson = (b: Uint8Array): Json => parseJson(new TextDecoder('utf-8', { fatal: true }).decode(b))
