/**
 * A Refusal is an error with a code that is unique for ever: spec/codes.md and
 * spec/codes-node.md. Programs read the code; the sentence may be reworded. It
 * never holds bytes of its input.
 */
export class Refusal extends Error {
  readonly code: number

  constructor(code: number, sentence: string, options?: { cause?: unknown }) {
    super(sentence, options)
    this.name = 'Refusal'
    this.code = code
  }

  /** with is the same refusal with a cause that says more. */
  with(cause: unknown): Refusal {
    return new Refusal(this.code, this.message, { cause })
  }
}

/** codeOf gives the code of a refusal, undefined for any other error. */
export const codeOf = (err: unknown): number | undefined => (err instanceof Refusal ? err.code : undefined)

/** refuse makes a function that throws a refusal. */
export const refusal = (code: number, sentence: string) => (): Refusal => new Refusal(code, sentence)
