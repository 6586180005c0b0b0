// linearPattern: the regular expressions of JSON Schemas. They come from clients and match texts of others, so RE2 runs them, whose
// time grows linearly with the text. RE2 has neither lookarounds nor backreferences, which zod's e-mail pattern needs: V8 runs
// those, within the time limit of the whole check.
import { RE2JS } from 're2js'

interface Pattern {
  test(text: string): boolean
}

function compilePattern(source: string, flags: string): Pattern {
  // Its syntax decides what is valid.
  const native = new RegExp(source, flags)
  try {
    return RE2JS.compile(RE2JS.translateRegExp(source))
  } catch {
    return native
  }
}

/** For Ajv's option `code.regExp`. @throws SyntaxError */
export const linearPattern = Object.assign(compilePattern, { code: 'new RegExp' })
