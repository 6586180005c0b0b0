// ThinkTags: turns `<think>…</think>` at the beginning of an answer into reasoning. Open models write their reasoning so, if their
// server does not separate it. Of some models (DeepSeek-R1, Qwen3 Thinking), the prompt's template already contains `<think>`: their
// answers start inside the reasoning. A tag may be split over any number of deltas.
import type { LanguageModelV3StreamPart } from '@ai-sdk/provider'

type Part = LanguageModelV3StreamPart
type Controller = TransformStreamDefaultController<Part>

const OPEN = '<think>'
const CLOSE = '</think>'
/** UTF-16 code units of white space before the tag. */
const MAX_SPACE = 64
const REASONING = 'think'
/** UTF-16 code units of an answer that can become its text if it has no closing tag. */
const MAX_KEPT = 256 * 1024

/** How a model's answer starts: with a tag, or inside the reasoning. */
export type Thinking = 'tagged' | 'opened'

export class ThinkTags {
  readonly #isOpened: boolean
  #state: 'start' | 'opened' | 'thinking' | 'after' | 'answer' = 'start'
  /** Text that may be the beginning of a tag. */
  #held = ''
  #textId = ''
  /** The reasoning of an opened answer whose tag is not closed yet. */
  #unclosed: string | undefined

  constructor(thinking: Thinking) {
    this.#isOpened = thinking === 'opened'
    this.#unclosed = this.#isOpened ? '' : undefined
  }

  transform(part: Part, controller: Controller): void {
    if (part.type === 'text-delta') {
      this.#textId = part.id
      if (this.#state === 'answer') controller.enqueue(part)
      else this.#read(this.#held + part.delta, controller)
      return
    }
    // A text that ends, a call or the end of the answer: what is held was not a tag.
    if (!PASSING.has(part.type)) this.flush(controller)
    if (part.type === 'tool-call') this.#unclosed = undefined
    if (part.type === 'finish' && part.finishReason.unified === 'stop') this.#sayUnclosed(controller)
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
        const hasTag = begin.startsWith(OPEN)
        const mayHaveTag = OPEN.startsWith(begin) && text.length <= MAX_SPACE + OPEN.length
        if (hasTag || (this.#isOpened && !mayHaveTag)) {
          this.#state = 'opened'
          controller.enqueue({ type: 'reasoning-start', id: REASONING })
          this.#read(hasTag ? begin.slice(OPEN.length) : begin, controller)
        } else if (mayHaveTag) {
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
        this.#unclosed = undefined
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
    if (delta === '') return
    controller.enqueue({ type: 'reasoning-delta', id: REASONING, delta })
    const unclosed = this.#unclosed
    if (unclosed !== undefined)
      this.#unclosed = unclosed.length + delta.length > MAX_KEPT ? undefined : unclosed + delta
  }

  /** A model that can also answer without reasoning has no closing tag then: the text was the answer, which must not be empty. */
  #sayUnclosed(controller: Controller): void {
    const delta = this.#unclosed ?? ''
    if (delta === '') return
    controller.enqueue({ type: 'text-start', id: REASONING })
    controller.enqueue({ type: 'text-delta', id: REASONING, delta })
    controller.enqueue({ type: 'text-end', id: REASONING })
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
