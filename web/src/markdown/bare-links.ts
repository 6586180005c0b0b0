// BareLinks: GFM's bare links for micromark, which also end before full-width punctuation. Chinese and Japanese put no
// space after a link, so that it would contain the rest of the sentence. Pure.
import { gfmAutolinkLiteral } from 'micromark-extension-gfm-autolink-literal'
import type { Attempt, Code, Construct, Effects, Extension, State } from 'micromark-util-types'

/** Quotation marks, an ellipsis, and the punctuation of the blocks for CJK and for full-width forms. */
const FULL_WIDTH_PUNCTUATION = /[‘-‟…]|(?=[\u3000-\u303f\ufe30-\ufe4f\uff00-\uff65])\p{P}|[｜～]/u

export function bareLinks(): Extension {
  const { text = {} } = gfmAutolinkLiteral()
  const bounded = Object.entries(text).map(([code, constructs]) => [code, [constructs ?? []].flat().map(endEarlier)])
  return { text: Object.fromEntries(bounded) }
}

/** States that already see the end of the text at full-width punctuation. */
const bounded = new WeakSet<State>()

/** A construct for which the text ends at full-width punctuation. */
function endEarlier(construct: Construct): Construct {
  return {
    ...construct,
    tokenize(effects, ok, nok) {
      let now: Code = null
      let left = false
      const leave =
        (state: State): State =>
        () => {
          left = true
          return state(now)
        }
      const bound = (state: State): State => {
        if (bounded.has(state)) return state
        const earlier: State = (code) => {
          now = code
          const next = state(isFullWidthPunctuation(code) ? null : code)
          return left || next === undefined ? next : bound(next)
        }
        bounded.add(earlier)
        return earlier
      }
      const using =
        (attempt: Attempt): Attempt =>
        (part, found, missed) => {
          const state = attempt(endEarlier(part as Construct), bound(found), missed && bound(missed))
          bounded.add(state)
          return state
        }
      const inner: Effects = { ...effects, attempt: using(effects.attempt), check: using(effects.check) }
      return bound(construct.tokenize.call(this, inner, leave(ok), leave(nok)))
    },
  }
}

function isFullWidthPunctuation(code: Code): boolean {
  return code !== null && code >= 0x2018 && FULL_WIDTH_PUNCTUATION.test(String.fromCharCode(code))
}
