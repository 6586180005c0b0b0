// The notices of a run on the OpenAI API, which has no place for them: a field `parley` beside OpenAI's own, which its clients
// ignore, and a header where the run has ended before the head is sent.
import type { RunEnded, RunNotice } from '@parley/protocol'
import type { Headers } from '../http/response-head.ts'

export interface Notices {
  /** Empty without notices. */
  readonly field: { readonly parley?: { readonly notices: readonly RunNotice[] } }
  /** `Parley-Notices`: a list of tokens with parameters (RFC 9651, sections 3.1 and 3.1.2). Without the words for people. */
  readonly headers: Headers
}

export function noticesOf({ notices }: Pick<RunEnded, 'notices'>): Notices {
  if (notices === undefined) return { field: {}, headers: {} }
  const items = notices.map(({ code, option }) => (option === undefined ? code : `${code};option=${option}`))
  return { field: { parley: { notices } }, headers: { 'Parley-Notices': items.join(', ') } }
}
