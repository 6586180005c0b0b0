// CodeWorker: the worker that highlights programs. It contains the grammars, whose regular expressions take minutes for
// some input.
import { serve } from '../shared/background-worker.ts'
import { grammars } from './grammars.ts'
import { type Run, runsOf } from './highlighted-lines.ts'

export interface HighlightRequest {
  readonly code: string
  readonly lang: string
}

/** Replies with no runs for an unknown language. */
serve(({ code, lang }: HighlightRequest): readonly Run[] | undefined => {
  if (grammars.getLanguage(lang) === undefined) return undefined
  return runsOf(grammars.highlight(code, { language: lang, ignoreIllegals: true }).value)
})
