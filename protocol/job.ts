// Jobs: a run, as somebody sees it who asks now and then instead of staying on the line. Any run is a job.
import { z } from 'zod'
import { ERROR_CODES } from './error.ts'
import { Policy, Usage } from './event.ts'
import { Id } from './id.ts'
import { Content, OutputPart, Seen } from './part.ts'
import { EntryFrame } from './server-frame.ts'

const Count = z.int().min(0)
/** Unix milliseconds. */
const Time = z.number()

export const JOB_STATES = [
  /** Its turn has not come, or no node has taken it yet. */
  'queued',
  'running',
  /** The model has called tools, and a person has to decide, or somebody's device to answer. */
  'waiting',
  'completed',
  'cancelled',
  'superseded',
  'failed',
] as const
export const JobState = z.enum(JOB_STATES)
export type JobState = z.infer<typeof JobState>

/** `POST /jobs` */
export const JobRequest = z.object({
  /** Left out: a session of its own. */
  session: Id.optional(),
  content: Content,
  policy: Policy.optional(),
  model: z.string().max(256).optional(),
  agent: z.string().max(128).optional(),
  seen: Seen.optional(),
  parent: Id.nullable().optional(),
})
export type JobRequest = z.infer<typeof JobRequest>

/** What `POST /jobs` answers, and every request that would not wait for the end of its run. */
export const JobAccepted = z.object({
  id: z.string(),
  session: z.string(),
  run: z.string(),
  state: JobState,
  /** The place of the message: what the run puts out comes after it. */
  cursor: z.string(),
})
export type JobAccepted = z.infer<typeof JobAccepted>

export const JobProgress = z.object({
  /** Indexes of outputs that it has used. */
  outputs: Count,
  /** The model call that it is at, or was at, from 0. */
  step: Count,
  /** Tool calls it has made, and how many of them have no result yet. */
  calls: Count,
  callsOpen: Count,
  /** When its message came. */
  createdAt: Time,
  /** When its present owner, or the last one, began; left out before, and where the log no longer tells. */
  startedAt: Time.optional(),
  endedAt: Time.optional(),
  /** As the provider counts them; known at the end. */
  outputTokens: Count.optional(),
  model: z.string().optional(),
  /** Runs of its session that come before it. */
  ahead: Count.optional(),
})
export type JobProgress = z.infer<typeof JobProgress>

/** A run that has ended, as a whole. */
export const RunResult = z.object({
  /** Of its job. */
  id: z.string(),
  session: z.string(),
  run: z.string(),
  state: z.enum(['completed', 'cancelled', 'superseded', 'failed']),
  /** The id of the message that it answers. */
  message: z.string(),
  output: z.array(OutputPart),
  /** The text in `output`, without reasoning and without what the person did not see. */
  text: z.string(),
  usage: Usage,
  model: z.string().optional(),
  error: z.object({ code: z.enum(ERROR_CODES), message: z.string(), retryable: z.boolean() }).optional(),
  /** The place of its end. */
  cursor: z.string(),
})
export type RunResult = z.infer<typeof RunResult>

/** `GET /jobs/{id}` */
export const Job = z.object({
  id: z.string(),
  session: z.string(),
  run: z.string(),
  state: JobState,
  message: z.string(),
  progress: JobProgress,
  /** After the last of `entries`: what to give as `since` the next time. */
  cursor: z.string(),
  /** The run's entries after `since`; outputs that follow each other come as one, with `count`. */
  entries: z.array(EntryFrame),
  /** Everything so far is in `entries`. With false there is more, at once. */
  live: z.boolean(),
  /** `since` could not be gone on from: `entries` begin anew, and the reader drops what it holds. */
  reset: z.literal(true).optional(),
  /** Once it has ended. */
  result: RunResult.optional(),
})
export type Job = z.infer<typeof Job>
