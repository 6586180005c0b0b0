// ShallowContainers: an extension for micromark that limits the nesting of containers, such as quotations and lists. The parser's time
// grows with the square of their depth. Markers beyond MAX_COLUMN are text. Pure.
import { blockQuote, list } from 'micromark-core-commonmark'
import type { Attempt, Construct, Extension } from 'micromark-util-types'

/** Each level takes at least one column, so that this limits the depth, too. */
export const MAX_COLUMN = 80

/** The characters with which a list item begins. */
const BULLETS = '*+-0123456789'

export function shallowContainers(): Extension {
  const item = shallow(list)
  const items = Array.from(BULLETS, (character) => [character.charCodeAt(0), item])
  return {
    document: { ...Object.fromEntries(items), 62: shallow(blockQuote) },
    disable: { null: ['list', 'blockQuote'] },
  }
}

/** The construct, for containers that begin in the first MAX_COLUMN columns. */
export function shallow(construct: Construct): Construct {
  const { continuation } = construct
  const limited: Construct = {
    ...construct,
    name: `shallow ${construct.name}`,
    tokenize(effects, ok, nok) {
      return this.now().column > MAX_COLUMN ? nok : construct.tokenize.call(this, effects, ok, nok)
    },
    continuation: continuation && {
      ...continuation,
      // The next item of a list, and the next line of a quotation, are attempts at the construct itself.
      tokenize(effects, ok, nok) {
        const attempt: Attempt = (part, found, missed) =>
          effects.attempt(part === construct ? limited : part, found, missed)
        return continuation.tokenize.call(this, { ...effects, attempt }, ok, nok)
      },
    },
  }
  return limited
}
