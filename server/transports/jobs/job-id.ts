// JobId: names a run so that any node finds it, with nothing stored: it holds the run's id and the session's.
//
//   run_…-<session>             a run's id that holds no dash, as all have that are made here
//   -<length>-<run>-<session>   any other: the run of a late steering message is named after a client's own id
import { Id } from '@parley/protocol'

export interface JobName {
  readonly session: string
  readonly run: string
}

/** Of the longest run and session. */
export const JOB_ID_MAX_LENGTH = 262

export function formatJobId({ session, run }: JobName): string {
  return run.includes('-') ? `-${run.length}-${run}-${session}` : `${run}-${session}`
}

/** @returns undefined when the text names no job: each job has one id, and no other text stands for it */
export function parseJobId(text: string): JobName | undefined {
  if (text.length > JOB_ID_MAX_LENGTH) return undefined
  const name = text.startsWith('-') ? measured(text) : split(text, text.indexOf('-'))
  if (name === undefined || !Id.safeParse(name.run).success || !Id.safeParse(name.session).success) return undefined
  return formatJobId(name) === text ? name : undefined
}

function measured(text: string): JobName | undefined {
  const [prefix, length] = /^-([1-9][0-9]{0,2})-/.exec(text) ?? []
  if (prefix === undefined || length === undefined) return undefined
  return split(text.slice(prefix.length), Number(length))
}

function split(text: string, at: number): JobName | undefined {
  if (at < 1 || text[at] !== '-') return undefined
  return { run: text.slice(0, at), session: text.slice(at + 1) }
}
