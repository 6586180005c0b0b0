// BareLinks: GFM's bare links for micromark, which also end before full-width punctuation. Chinese and Japanese put no
// space after a link, so that it would contain the rest of the sentence. Pure.
import { gfmAutolinkLiteral } from 'micromark-extension-gfm-autolink-literal'
import type { Attempt, Code, Construct, Effects, Extension, State } from 'micromark-util-types'

/** Quotation marks, an ellipsis, and the punctuation of the blocks for CJK and for full-width forms. */
const FULL_WIDTH_PUNCTUATION = /[‘-‟…]|(?=[\u3000-\u303f\ufe30-\ufe4f\uff00-\uff65])\p{P}|[｜～]/u

/**
 * Characters of a domain. What follows is parsed like a path, which a link may have anyway. The parser searches from each `www.` for
 * the end of the domain, which must not contain `_` there: without this limit, a text with n of them takes n² steps.
 */
const DOMAIN_CHARS = 64

export function bareLinks(): Extension {
  const { text = {} } = gfmAutolinkLiteral()
  const all = Object.entries(text).map(([code, constructs]) => {
    return [code, [constructs ?? []].flat().map((construct) => endEarlier(construct))]
  })
  return { text: Object.fromEntries(all) }
}

/** States that already see the end of the text at full-width punctuation. */
const bounded = new WeakSet<State>()

/** A construct for which the text ends at full-width punctuation, and after `most` characters. */
function endEarlier(construct: Construct, most = Number.POSITIVE_INFINITY): Construct {
  return {
    ...construct,
    tokenize(effects, ok, nok) {
      let now: Code = null
      let left = false
      let consumed = 0
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
          const next = state(consumed >= most || isFullWidthPunctuation(code) ? null : code)
          return left || next === undefined ? next : bound(next)
        }
        bounded.add(earlier)
        return earlier
      }
      const using =
        (attempt: Attempt): Attempt =>
        (part, found, missed) => {
          // A path is always found. Everything else is short.
          const limit = missed === undefined ? undefined : DOMAIN_CHARS
          const state = attempt(endEarlier(part as Construct, limit), bound(found), missed && bound(missed))
          bounded.add(state)
          return state
        }
      const consume: Effects['consume'] = (code) => {
        consumed += 1
        effects.consume(code)
      }
      const inner: Effects = { ...effects, consume, attempt: using(effects.attempt), check: using(effects.check) }
      return bound(construct.tokenize.call(this, inner, leave(ok), leave(nok)))
    },
  }
}

function isFullWidthPunctuation(code: Code): boolean {
  return code !== null && code >= 0x2018 && FULL_WIDTH_PUNCTUATION.test(String.fromCharCode(code))
}
