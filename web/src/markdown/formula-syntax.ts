// FormulaSyntax: an extension for micromark and mdast: TeX between `$…$`, `$$…$$`, `\(…\)` and `\[…\]`. Pure. A formula
// contains no blank line, as in TeX. Amounts such as "$5 and $10" are text. The time is in proportion to the text.
import type { Literal } from 'mdast'
import type { CompileContext, Extension as MdastExtension } from 'mdast-util-from-markdown'
import { markdownLineEnding, markdownLineEndingOrSpace, markdownSpace } from 'micromark-util-character'
import type { Code, Construct, Effects, Extension, State, Token, TokenizeContext } from 'micromark-util-types'

/** Its value is TeX. */
export interface Formula extends Literal {
  type: 'formula'
  /** In a line of its own. */
  display: boolean
}

declare module 'mdast' {
  interface RootContentMap {
    formula: Formula
  }
  interface PhrasingContentMap {
    formula: Formula
  }
}

declare module 'micromark-util-types' {
  interface TokenTypeMap {
    formula: 'formula'
    displayFormula: 'displayFormula'
    unclosedFormula: 'unclosedFormula'
    formulaLine: 'formulaLine'
  }
}

const DOLLAR = 36
const BACKSLASH = 92
const CLOSING: Readonly<Record<number, number>> = { 40: 41, 91: 93 }

/** What follows a `$` that does not begin a formula: an amount, and then words. */
const AMOUNT = /^\d[\d.,]*\p{L}{0,2}[\s(]+\p{L}{2,}[^\\]*$/u

/** @param unclosed called for an opening without an end, with the offsets of its start and of the end of its paragraph */
export function formulaSyntax(unclosed: (from: number, to: number) => void): Extension {
  const text: Construct = { name: 'formula', tokenize: tokenizeText }
  const flow: Construct = { name: 'displayFormula', tokenize: tokenizeFlow, concrete: true }
  return {
    text: { [DOLLAR]: text, [BACKSLASH]: text },
    flow: { [DOLLAR]: flow, [BACKSLASH]: flow },
  }

  function tokenizeText(this: TokenizeContext, effects: Effects, ok: State, nok: State) {
    const context = this
    const lines = linesOf(effects)
    const from = this.now()
    const { previous } = this
    /** The closing character after a backslash; undefined after `$`. */
    let closing: number | undefined
    let dollars = 0
    /** The last character of the content. */
    let last: Code = null
    return start

    function start(code: Code): State | undefined {
      if (code === DOLLAR && (previous === DOLLAR || isLetterOrDigit(previous))) return nok(code)
      effects.enter('formula')
      lines.take(code)
      if (code === BACKSLASH) return bracket
      dollars = 1
      return secondDollar
    }
    function bracket(code: Code): State | undefined {
      closing = code === null ? undefined : CLOSING[code]
      if (closing === undefined) return nok(code)
      lines.take(code)
      return inside
    }
    function secondDollar(code: Code): State | undefined {
      if (code !== DOLLAR) return dollars === 1 && markdownLineEndingOrSpace(code) ? nok(code) : inside(code)
      if (dollars === 2) return nok(code)
      dollars = 2
      lines.take(code)
      return secondDollar
    }
    function inside(code: Code): State | undefined {
      if (code === null) {
        const source = context.sliceSerialize({ start: from, end: context.now() })
        // An amount is not delayed while the text grows, and a dollar sign not for long.
        const mayEnd = source.length <= DELAYED && !AMOUNT_START.test(source)
        if (dollars !== 1 || mayEnd) unclosed(from.offset, context.now().offset)
        return nok(code)
      }
      if (markdownLineEnding(code)) {
        lines.end(code)
        last = code
        return inside
      }
      if (code === DOLLAR && dollars > 0) {
        if (dollars === 1 && markdownLineEndingOrSpace(last)) return nok(code)
        lines.take(code)
        return dollars === 1 ? after : closingDollar
      }
      lines.take(code)
      if (code === BACKSLASH) return escaped
      last = code
      return inside
    }
    function escaped(code: Code): State | undefined {
      if (code !== null && code === closing) {
        lines.take(code)
        return after
      }
      // No formula begins in another. Otherwise many openings would take long.
      if (code !== null && CLOSING[code] !== undefined) return nok(code)
      if (code === null || markdownLineEnding(code)) return inside(code)
      lines.take(code)
      last = code
      return inside
    }
    function closingDollar(code: Code): State | undefined {
      if (code !== DOLLAR) return inside(code)
      lines.take(code)
      return after
    }
    function after(code: Code): State | undefined {
      const source = context.sliceSerialize({ start: from, end: context.now() })
      if (contentOf(source).trim() === '') return nok(code)
      if (dollars === 1 && (!mayFollow(code, contentOf(source)) || AMOUNT.test(contentOf(source)))) return nok(code)
      lines.leave()
      effects.exit('formula')
      return ok(code)
    }
  }

  function tokenizeFlow(this: TokenizeContext, effects: Effects, ok: State, nok: State) {
    const context = this
    const lines = linesOf(effects)
    const from = this.now()
    let closing: number = DOLLAR
    let isFirstLine = true
    let isBlank = true
    return start

    function start(code: Code): State | undefined {
      effects.enter('displayFormula')
      lines.take(code)
      return code === DOLLAR ? second : bracket
    }
    function bracket(code: Code): State | undefined {
      if (code !== 91) return nok(code)
      closing = 93
      lines.take(code)
      return line
    }
    function second(code: Code): State | undefined {
      if (code !== DOLLAR) return nok(code)
      lines.take(code)
      return third
    }
    function third(code: Code): State | undefined {
      return code === DOLLAR ? nok(code) : line(code)
    }
    function line(code: Code): State | undefined {
      if (code === null && isFirstLine) {
        unclosed(from.offset, context.now().offset)
        return nok(code)
      }
      if (code === null || markdownLineEnding(code)) {
        // Whether it interrupts a paragraph is decided by its first line.
        return context.interrupt ? end(code) : effects.check(NEXT_LINE, nextLine, incomplete)(code)
      }
      const opener = closing === DOLLAR ? DOLLAR : BACKSLASH
      lines.take(code)
      if (code === opener) return opener === DOLLAR ? close : escaped
      if (code === BACKSLASH) return escaped
      isBlank &&= markdownSpace(code)
      return line
    }
    function nextLine(code: Code): State | undefined {
      isFirstLine = false
      lines.end(code)
      return line
    }
    function escaped(code: Code): State | undefined {
      if (code === closing) return close(code)
      isBlank = false
      if (code === null || markdownLineEnding(code)) return line(code)
      lines.take(code)
      return line
    }
    function close(code: Code): State | undefined {
      if (code !== closing) {
        isBlank = false
        return line(code)
      }
      lines.take(code)
      return isBlank && isFirstLine ? nok : effects.attempt(PUNCTUATION, end, isFirstLine ? nok : tail)
    }
    function end(code: Code): State | undefined {
      lines.leave()
      effects.exit('displayFormula')
      return ok(code)
    }
    function incomplete(code: Code): State | undefined {
      unclosed(from.offset, context.now().offset)
      lines.leave()
      effects.exit('displayFormula').type = 'unclosedFormula'
      return ok(code)
    }
    /** Text after the formula's end in its line: a paragraph. */
    function tail(code: Code): State | undefined {
      lines.leave()
      effects.exit('displayFormula')
      effects.enter('paragraph')
      effects.enter('chunkText', { contentType: 'text' })
      return rest(code)
    }
    function rest(code: Code): State | undefined {
      if (code !== null && !markdownLineEnding(code)) {
        effects.consume(code)
        return rest
      }
      effects.exit('chunkText')
      effects.exit('paragraph')
      return ok(code)
    }
  }
}

/** The lines of a formula as tokens. Without them micromark would not end for a formula of several lines. */
function linesOf(effects: Effects) {
  let isOpen = false
  const leave = (): void => {
    if (isOpen) effects.exit('formulaLine')
    isOpen = false
  }
  return {
    take(code: Code): void {
      if (!isOpen) effects.enter('formulaLine')
      isOpen = true
      effects.consume(code)
    },
    /** Takes a line ending. */
    end(code: Code): void {
      leave()
      effects.enter('lineEnding')
      effects.consume(code)
      effects.exit('lineEnding')
    },
    leave,
  }
}

/** Characters of a `$…` without an end that are not shown while the text grows. */
const DELAYED = 60
/** An amount at the end of a growing text. */
const AMOUNT_START = /^\$\d[\d.,]*(?:\p{L}{0,2}[\s(]|$)/u

/** A next line of the same container that is not blank. */
const NEXT_LINE: Construct = {
  partial: true,
  tokenize(effects, ok, nok) {
    const context = this
    return start

    function start(code: Code): State | undefined {
      if (code === null) return nok(code)
      effects.enter('lineEnding')
      effects.consume(code)
      effects.exit('lineEnding')
      return afterEnding
    }
    function afterEnding(code: Code): State | undefined {
      if (context.parser.lazy[context.now().line]) return nok(code)
      if (!markdownSpace(code)) return code === null || markdownLineEnding(code) ? nok(code) : ok(code)
      effects.enter('linePrefix')
      return spaces(code)
    }
    function spaces(code: Code): State | undefined {
      if (markdownSpace(code)) {
        effects.consume(code)
        return spaces
      }
      effects.exit('linePrefix')
      return code === null || markdownLineEnding(code) ? nok(code) : ok(code)
    }
  },
}

/** Nothing but punctuation until the end of the line. It becomes a part of the formula. */
const PUNCTUATION: Construct = {
  partial: true,
  tokenize(effects, ok, nok) {
    return function more(code: Code): State | undefined {
      if (code === null || markdownLineEnding(code)) return ok(code)
      if (!markdownSpace(code) && !'.,;:'.includes(String.fromCharCode(code))) return nok(code)
      effects.consume(code)
      return more
    }
  },
}

function isLetterOrDigit(code: Code): boolean {
  return code !== null && /[\dA-Za-z]/.test(String.fromCharCode(code))
}

/** Before a letter: the end of a formula, but not a quotation mark. */
const CLEAR_END = /[\dA-Za-z)}\]|]$|^[^\s$]*[\dA-Za-z)}\]]'+$/

/** Whether `code` may follow the closing `$`, as in "the $n$th" but not in "$HOME/$USER" or "'$a' or '$b'". */
function mayFollow(code: Code, content: string): boolean {
  if (code === DOLLAR) return false
  if (!isLetterOrDigit(code)) return true
  return code !== null && code >= 97 && CLEAR_END.test(content)
}

/** @param source of a formula, with its delimiters */
function contentOf(source: string): string {
  const marks = /^\$(?!\$)/.test(source) ? 1 : 2
  return source.slice(marks, -marks)
}

export const formulaFromMarkdown: MdastExtension = {
  enter: {
    formula: enterFormula,
    displayFormula: enterFormula,
    unclosedFormula(token) {
      this.enter({ type: 'paragraph', children: [] }, token)
    },
  },
  exit: {
    formula(token) {
      exitFormula.call(this, token, this.sliceSerialize(token))
    },
    displayFormula(token) {
      const [, source = '', punctuation = ''] =
        /^([\s\S]*(?:\$\$|\\\]))([\s.,;:]*)$/.exec(this.sliceSerialize(token)) ?? []
      exitFormula.call(this, token, source, punctuation.trim())
    },
    unclosedFormula(token) {
      const paragraph = this.stack.at(-1)
      if (paragraph?.type === 'paragraph') paragraph.children = [{ type: 'text', value: this.sliceSerialize(token) }]
      this.exit(token)
    },
  },
}

function enterFormula(this: CompileContext, token: Token): undefined {
  this.enter({ type: 'formula', value: '', display: token.type === 'displayFormula' }, token)
}

function exitFormula(this: CompileContext, token: Token, source: string, punctuation = ''): undefined {
  const formula = this.stack.at(-1)
  if (formula?.type === 'formula') {
    const content = contentOf(source).trim() + punctuation
    // A vertical bar in a cell is escaped, as in code.
    const value = this.data.inTable ? content.replaceAll('\\|', '|') : content
    Object.assign(formula, { value, display: formula.display || source.startsWith('\\[') })
  }
  this.exit(token)
}
