// Jobs: a run accessed by polling. Every run is a job, whichever transport started it.
import { z } from 'zod'
import { Policy, RunError, RunNotice, Usage } from './event.ts'
import { Id } from './id.ts'
import { Content, OutputPart, Seen } from './part.ts'
import { EntryFrame } from './server-frame.ts'

const Count = z.int().min(0)
/** Unix milliseconds. */
const Time = z.number()

export const JOB_STATES = [
  /** Its turn has not come, or no node has taken it. */
  'queued',
  'running',
  /** A person has to decide about a tool call, or a client's tool has to answer. */
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
  /** Omitted: the job gets a session of its own. */
  session: Id.optional(),
  content: Content,
  policy: Policy.optional(),
  model: z.string().max(256).optional(),
  agent: z.string().max(128).optional(),
  seen: Seen.optional(),
  parent: Id.nullable().optional(),
})
export type JobRequest = z.infer<typeof JobRequest>

/** The answer of `POST /jobs`, and of every request that does not wait for the end of its run. */
export const JobAccepted = z.object({
  id: z.string(),
  session: z.string(),
  run: z.string(),
  state: JobState,
  /** The position of the message. The run's output follows it. */
  cursor: z.string(),
})
export type JobAccepted = z.infer<typeof JobAccepted>

export const JobProgress = z.object({
  /** Number of output indexes used so far. */
  outputs: Count,
  /** The current or last model call, from 0. */
  step: Count,
  /** Tool calls so far, and how many of them have no result yet. */
  calls: Count,
  callsOpen: Count,
  /** When its message was stored. */
  createdAt: Time,
  /** When its current or last driver started. Omitted before that, or if the log no longer contains it. */
  startedAt: Time.optional(),
  endedAt: Time.optional(),
  /** Tokens as the provider counts them; known at the end. */
  outputTokens: Count.optional(),
  model: z.string().optional(),
  /** Runs of its session before it in the queue. */
  ahead: Count.optional(),
})
export type JobProgress = z.infer<typeof JobProgress>

/** A run that has ended, with its whole output. */
export const RunResult = z.object({
  /** The id of its job. */
  id: z.string(),
  session: z.string(),
  run: z.string(),
  state: z.enum(['completed', 'cancelled', 'superseded', 'failed']),
  /** The id of the message that it answers. */
  message: z.string(),
  output: z.array(OutputPart),
  /** The text in `output`, without reasoning and `unseen` parts. */
  text: z.string(),
  usage: Usage,
  /** The output reached a token limit. */
  cut: z.literal(true).optional(),
  model: z.string().optional(),
  notices: z.array(RunNotice).optional(),
  error: RunError.extend({ retryable: z.boolean() }).optional(),
  /** The position of its end. */
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
  /** After the last of `entries`: the next `since`. */
  cursor: z.string(),
  /** The run's entries after `since`; adjacent outputs are merged, with `count`. */
  entries: z.array(EntryFrame),
  /** Whether `entries` end at the head of the log. If false, more is available at once. */
  live: z.boolean(),
  /** The server cannot resume from `since`: `entries` start at the run's beginning; the reader discards what it has. */
  reset: z.literal(true).optional(),
  /** Present once the run has ended. */
  result: RunResult.optional(),
})
export type Job = z.infer<typeof Job>
