// ThinkTags: turns `<think>…</think>` at the beginning of an answer into reasoning. Open models write their reasoning so, if their
// server does not separate it. A tag may be split over any number of deltas.
import type { LanguageModelV3StreamPart } from '@ai-sdk/provider'

type Part = LanguageModelV3StreamPart
type Controller = TransformStreamDefaultController<Part>

const OPEN = '<think>'
const CLOSE = '</think>'
/** UTF-16 code units of white space before the tag. */
const MAX_SPACE = 64
const REASONING = 'think'

export class ThinkTags {
  #state: 'start' | 'opened' | 'thinking' | 'after' | 'answer' = 'start'
  /** Text that may be the beginning of a tag. */
  #held = ''
  #textId = ''

  transform(part: Part, controller: Controller): void {
    if (part.type === 'text-delta') {
      this.#textId = part.id
      if (this.#state === 'answer') controller.enqueue(part)
      else this.#read(this.#held + part.delta, controller)
      return
    }
    // A text that ends, a call or the end of the answer: what is held was not a tag.
    if (!PASSING.has(part.type)) this.flush(controller)
    controller.enqueue(part)
  }

  flush(controller: Controller): void {
    const held = this.#held
    this.#held = ''
    if (this.#state === 'opened' || this.#state === 'thinking') {
      this.#reason(held, controller)
      controller.enqueue({ type: 'reasoning-end', id: REASONING })
    } else if (held !== '') {
      this.#say(held, controller)
    }
    if (this.#state !== 'start' || held !== '') this.#state = 'answer'
  }

  #read(text: string, controller: Controller): void {
    this.#held = ''
    switch (this.#state) {
      case 'start': {
        const begin = text.trimStart()
        if (begin.startsWith(OPEN)) {
          this.#state = 'opened'
          controller.enqueue({ type: 'reasoning-start', id: REASONING })
          this.#read(begin.slice(OPEN.length), controller)
        } else if (OPEN.startsWith(begin) && text.length <= MAX_SPACE + OPEN.length) {
          this.#held = text
        } else {
          this.#state = 'answer'
          this.#say(text, controller)
        }
        return
      }
      case 'opened': {
        // The blank lines after the tag are dropped, in whichever delta they come.
        const begin = text.trimStart()
        if (begin === '') return
        this.#state = 'thinking'
        this.#read(begin, controller)
        return
      }
      case 'thinking': {
        const end = text.indexOf(CLOSE)
        if (end === -1) {
          const held = heldOf(text)
          this.#held = text.slice(text.length - held)
          this.#reason(text.slice(0, text.length - held), controller)
          return
        }
        this.#reason(text.slice(0, end), controller)
        controller.enqueue({ type: 'reasoning-end', id: REASONING })
        this.#state = 'after'
        this.#read(text.slice(end + CLOSE.length), controller)
        return
      }
      default: {
        // The blank lines after the tag belong to neither.
        const rest = this.#state === 'after' ? text.trimStart() : text
        if (rest !== '') this.#state = 'answer'
        this.#say(rest, controller)
      }
    }
  }

  #reason(delta: string, controller: Controller): void {
    if (delta !== '') controller.enqueue({ type: 'reasoning-delta', id: REASONING, delta })
  }

  #say(delta: string, controller: Controller): void {
    if (delta !== '') controller.enqueue({ type: 'text-delta', id: this.#textId, delta })
  }
}

/** Parts that may come between two deltas of a text. */
const PASSING: ReadonlySet<Part['type']> = new Set([
  'stream-start',
  'response-metadata',
  'text-start',
  'reasoning-start',
  'reasoning-delta',
  'reasoning-end',
  'raw',
])

/** How many code units at the end of the text may begin the closing tag. */
function heldOf(text: string): number {
  for (let length = Math.min(CLOSE.length - 1, text.length); length > 0; length -= 1) {
    if (CLOSE.startsWith(text.slice(text.length - length))) return length
  }
  return 0
}
