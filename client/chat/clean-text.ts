// CleanText: makes text from a model or another person safe for a terminal. It removes escape sequences, even if they
// arrive in pieces, control characters, and direction overrides. New lines and tabs remain.

type State =
  | 'text'
  /** After ESC. */
  | 'escape'
  /** ESC [ … up to a letter. */
  | 'sequence'
  /** ESC ] and similar sequences, up to BEL or ESC \. */
  | 'string'
  | 'string-escape'

/** A longer sequence is not one: the following characters are text again. */
const SEQUENCE_MAX = 256

export class CleanText {
  #state: State = 'text'
  #length = 0

  /** Cleans the next piece of a stream. */
  push(piece: string): string {
    let clean = ''
    for (const character of piece) {
      if (this.#state === 'text') clean += this.#text(character)
      else this.#skip(character)
    }
    return clean
  }

  #text(character: string): string {
    const code = character.codePointAt(0) ?? 0
    if (code === 0x1b) this.#enter('escape')
    else if (code === 0x9b) this.#enter('sequence')
    else if (code === 0x90 || (code >= 0x98 && code <= 0x9f && code !== 0x99 && code !== 0x9a)) this.#enter('string')
    else if (!isControl(code)) return character
    return ''
  }

  #skip(character: string): void {
    const code = character.codePointAt(0) ?? 0
    this.#length += 1
    if (this.#length > SEQUENCE_MAX) this.#enter('text')
    else if (this.#state === 'escape') this.#escape(character, code)
    else if (this.#state === 'sequence') {
      if (code === 0x1b) this.#enter('escape')
      else if (code >= 0x40) this.#enter('text')
    } else if (this.#state === 'string') {
      if (code === 0x07 || code === 0x9c) this.#enter('text')
      else if (code === 0x1b) this.#state = 'string-escape'
    } else if (character === '\\') this.#enter('text')
    else this.#escape(character, code)
  }

  #escape(character: string, code: number): void {
    if (character === '[') this.#enter('sequence')
    else if (character === ']' || character === 'P' || character === 'X' || character === '^' || character === '_') {
      this.#enter('string')
    } else if (code < 0x20 || code > 0x2f) this.#enter('text')
  }

  #enter(state: State): void {
    this.#state = state
    this.#length = 0
  }
}

/** Cleans a complete text; `oneLine` also joins its lines. */
export function cleanText(text: string, options: { oneLine?: boolean } = {}): string {
  const clean = new CleanText().push(text)
  return options.oneLine === true ? clean.replaceAll(/\s+/g, ' ').trim() : clean
}

function isControl(code: number): boolean {
  if (code === 0x0a || code === 0x09) return false
  // C0, DEL and C1; then the direction overrides, which can hide what a text says.
  if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return true
  return (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)
}
