// Player: carries out the plan of one user. It sends questions at their planned times, even if earlier answers are
// late, and measures answers from then (open loop).
import { setTimeout as sleep } from 'node:timers/promises'
import { type DriverUser, Refused, sleepUnlessAborted, type TransportName, type Watch } from './drivers/driver.ts'
import { ConnectionLost } from './drivers/http-caller.ts'
import type { AskRecord, Outcome } from './generator-message.ts'
import { type Ask, knownText, meantMs, question, type UserPlan } from './plan.ts'
import { StreamVerifier } from './stream-verifier.ts'

export interface PlayContext {
  readonly door: TransportName
  readonly user: DriverUser
  readonly name: string
  readonly model: 'demo' | 'other'
  /** Milliseconds since the common start of all generators. */
  now(): number
  /** Aborted at the end of the phase: outstanding answers count as unfinished. */
  readonly over: AbortSignal
  /** The answer's text from the session's transcript, for models whose text is not known in advance. */
  transcript(message: string): Promise<string | undefined>
  on(event: 'asked' | 'ended' | 'interrupted'): void
  outputs(count: number): void
}

/** @returns a record of each question, after all have ended */
export async function play(plan: UserPlan, context: PlayContext): Promise<AskRecord[]> {
  await sleepUnlessAborted(plan.arrivesAt - context.now(), context.over)
  const arrived = context.user.arrive()
  // Questions do not wait for the connection: the driver holds them until then.
  const answers: Promise<AskRecord>[] = []
  for (const [number, ask] of plan.asks.entries()) {
    await sleepUnlessAborted(ask.at - context.now(), context.over)
    if (context.over.aborted) break
    answers.push(put(ask, `${context.name}-${number}`, context))
  }
  const records = await Promise.all(answers)
  await Promise.race([arrived, sleep(0)])
  return records
}

async function put(ask: Ask, id: string, context: PlayContext): Promise<AskRecord> {
  const known = context.model === 'demo' ? knownText(ask.tokens) : undefined
  const verifier = new StreamVerifier(known)
  const late = context.now() - ask.at
  const meant = context.model === 'demo' ? meantMs(ask) : 0
  const meantFirst = context.model === 'demo' ? ask.ttft : 0
  const gaps: number[] = []
  let first: number | undefined
  let brokenAt: number | undefined
  let interruptions = 0
  let resets = 0
  const watch: Watch = {
    outputs: (count) => {
      first ??= context.now() - ask.at
      context.outputs(count)
    },
    interrupted: () => {
      interruptions += 1
      brokenAt ??= context.now()
      context.on('interrupted')
    },
    resumed: () => {
      if (brokenAt !== undefined) gaps.push(context.now() - brokenAt)
      brokenAt = undefined
    },
    reset: () => {
      resets += 1
    },
  }
  const gaveUp = new AbortController()
  const timers = patience(ask, meantFirst, meant, context, gaveUp, () => first !== undefined)
  const request = { id, content: question(ask, context.model), verifier, watch, gaveUp: gaveUp.signal }
  context.on('asked')
  let outcome: Outcome = 'unfinished'
  let error: string | undefined
  try {
    const answered = context.user.ask(request)
    const over = new Promise<'over'>((resolve) => {
      if (context.over.aborted) resolve('over')
      context.over.addEventListener('abort', () => resolve('over'), { once: true })
    })
    // The answer may still fail after the end of the phase.
    answered.catch(() => undefined)
    if ((await Promise.race([answered, over])) !== 'over') {
      outcome = gaveUp.signal.aborted ? 'abandoned' : verifier.end?.reason === 'completed' ? 'completed' : 'failed'
      if (outcome === 'failed') error = `ended: ${verifier.end?.reason ?? 'without run.ended'}`
    }
  } catch (failure) {
    if (!(failure instanceof Refused) && !(failure instanceof ConnectionLost)) throw failure
    outcome = 'failed'
    error = failure.message
  }
  for (const timer of timers) clearTimeout(timer)
  const done = outcome === 'completed' ? context.now() - ask.at : undefined
  if (outcome === 'completed' && known === undefined) {
    const text = await context.transcript(id)
    if (text !== undefined) verifier.transcript(text)
  }
  context.on('ended')
  return {
    door: context.door,
    at: ask.at,
    late,
    ...(first === undefined ? {} : { first }),
    ...(done === undefined ? {} : { done }),
    meantFirst,
    meantDone: meant,
    outputs: verifier.outputs,
    outcome,
    ...(error === undefined ? {} : { error }),
    interruptions,
    resets,
    gaps,
    faults: { ...verifier.faults },
  }
}

/**
 * Cancels the question if the first token, or the complete answer, exceeds the model's own time by the user's patience.
 */
function patience(
  ask: Ask,
  meantFirst: number,
  meant: number,
  context: PlayContext,
  gaveUp: AbortController,
  hasFirst: () => boolean,
): NodeJS.Timeout[] {
  if (ask.patience === undefined) return []
  const from = ask.at - context.now() + ask.patience
  const onFirst = () => {
    if (!hasFirst()) gaveUp.abort()
  }
  // Request–response delivers everything at once, so the first token is the complete answer.
  const whole = context.door === 'request'
  return [setTimeout(onFirst, from + (whole ? meant : meantFirst)), setTimeout(() => gaveUp.abort(), from + meant)]
}
