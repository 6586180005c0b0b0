// JobId: the ids of a run and of its session in one text, so that any node finds the job without stored state.
//
//   run_…-<session>             for a run id without a dash, such as all ids that the server makes
//   -<length>-<run>-<session>   for any other: the run of a late steering message is named after a client's id
import { Id } from '@parley/protocol'

export interface JobName {
  readonly session: string
  readonly run: string
}

/** The length with the longest ids of a run and a session. */
export const JOB_ID_MAX_LENGTH = 262

export function formatJobId({ session, run }: JobName): string {
  return run.includes('-') ? `-${run.length}-${run}-${session}` : `${run}-${session}`
}

/** @returns undefined if the text is not a job id; each job has exactly one id */
export function parseJobId(text: string): JobName | undefined {
  if (text.length > JOB_ID_MAX_LENGTH) return undefined
  const name = text.startsWith('-') ? parsePrefixed(text) : split(text, text.indexOf('-'))
  if (name === undefined || !Id.safeParse(name.run).success || !Id.safeParse(name.session).success) return undefined
  return formatJobId(name) === text ? name : undefined
}

function parsePrefixed(text: string): JobName | undefined {
  const [prefix, length] = /^-([1-9][0-9]{0,2})-/.exec(text) ?? []
  if (prefix === undefined || length === undefined) return undefined
  return split(text.slice(prefix.length), Number(length))
}

function split(text: string, at: number): JobName | undefined {
  if (at < 1 || text[at] !== '-') return undefined
  return { run: text.slice(0, at), session: text.slice(at + 1) }
}
