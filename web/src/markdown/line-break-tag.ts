// LineBreakTag: an extension for micromark and mdast: `<br>` in a table's cell, the only HTML that the page formats,
// because Markdown has nothing else for it. Elsewhere it is text. Pure.
import type { Extension as MdastExtension } from 'mdast-util-from-markdown'
import { markdownSpace } from 'micromark-util-character'
import type { Code, Construct, Extension, State } from 'micromark-util-types'

declare module 'micromark-util-types' {
  interface TokenTypeMap {
    lineBreakTag: 'lineBreakTag'
  }
}

const NAME = '<br'

const tag: Construct = {
  name: 'lineBreakTag',
  tokenize(effects, ok, nok) {
    let at = 0
    return start

    function start(code: Code): State | undefined {
      effects.enter('lineBreakTag')
      return name(code)
    }
    function name(code: Code): State | undefined {
      if (code === null || String.fromCharCode(code).toLowerCase() !== NAME[at]) return nok(code)
      effects.consume(code)
      at += 1
      return at === NAME.length ? space : name
    }
    function space(code: Code): State | undefined {
      if (!markdownSpace(code)) return end(code)
      effects.consume(code)
      return space
    }
    function end(code: Code): State | undefined {
      if (code !== 47 && code !== 62) return nok(code)
      effects.consume(code)
      if (code === 47) return slash
      effects.exit('lineBreakTag')
      return ok
    }
    function slash(code: Code): State | undefined {
      return code === 62 ? end(code) : nok(code)
    }
  },
}

export const lineBreakTag: Extension = { text: { 60: tag } }

export const lineBreakTagFromMarkdown: MdastExtension = {
  enter: {
    lineBreakTag(token) {
      if (this.data.inTable) this.enter({ type: 'break' }, token)
      else this.config.enter.data?.call(this, token)
    },
  },
  exit: {
    lineBreakTag(token) {
      if (this.data.inTable) this.exit(token)
      else this.config.exit.data?.call(this, token)
    },
  },
}
