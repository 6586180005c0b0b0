// Player: plays one user's plan at one door. Questions go out when the plan says, whatever became of those before;
// an answer's times count from then.

import { type DoorName, type DriverUser, Refused, sleep, type Watch } from './drivers/driver.ts'
import { ConnectionLost } from './drivers/http-caller.ts'
import { knownText } from './known-text.ts'
import { type Ask, meantMs, question, type UserPlan } from './plan.ts'
import type { AskRecord, Outcome } from './record.ts'
import { StreamVerifier } from './stream-verifier.ts'

export interface Stage {
  readonly door: DoorName
  readonly user: DriverUser
  readonly name: string
  readonly model: 'demo' | 'other'
  /** Milliseconds since the beginning that all generators share. */
  now(): number
  /** All is over: what has not ended by then is told as unfinished. */
  readonly over: AbortSignal
  /** The text that the session says the answer to this message was, where it cannot be known before. */
  transcript(message: string): Promise<string | undefined>
  on(event: 'asked' | 'ended' | 'interrupted', amount?: number): void
  outputs(count: number): void
}

/** @returns a record for each question, when all have ended */
export async function play(plan: UserPlan, stage: Stage): Promise<AskRecord[]> {
  await sleep(plan.arrivesAt - stage.now(), stage.over)
  const arrived = stage.user.arrive()
  // A question does not wait for the arrival: the door holds it until then.
  const answers: Promise<AskRecord>[] = []
  for (const [number, ask] of plan.asks.entries()) {
    await sleep(ask.at - stage.now(), stage.over)
    if (stage.over.aborted) break
    answers.push(put(ask, `${stage.name}-${number}`, stage))
  }
  const records = await Promise.all(answers)
  await Promise.race([arrived, sleep(0)])
  return records
}

async function put(ask: Ask, id: string, stage: Stage): Promise<AskRecord> {
  const known = stage.model === 'demo' ? knownText(ask.tokens) : undefined
  const verifier = new StreamVerifier(known)
  const late = stage.now() - ask.at
  const meant = stage.model === 'demo' ? meantMs(ask) : 0
  const meantFirst = stage.model === 'demo' ? ask.ttft : 0
  const gaps: number[] = []
  let first: number | undefined
  let brokenAt: number | undefined
  let interruptions = 0
  let resets = 0
  const watch: Watch = {
    outputs: (count) => {
      first ??= stage.now() - ask.at
      stage.outputs(count)
    },
    interrupted: () => {
      interruptions += 1
      brokenAt ??= stage.now()
      stage.on('interrupted')
    },
    resumed: () => {
      if (brokenAt !== undefined) gaps.push(stage.now() - brokenAt)
      brokenAt = undefined
    },
    reset: () => {
      resets += 1
    },
  }
  const gaveUp = new AbortController()
  const timers = patience(ask, meantFirst, meant, stage, gaveUp, () => first !== undefined)
  const request = { id, content: question(ask, stage.model), verifier, watch, gaveUp: gaveUp.signal }
  stage.on('asked')
  let outcome: Outcome = 'unfinished'
  let error: string | undefined
  try {
    const answered = stage.user.ask(request)
    const over = new Promise<'over'>((resolve) => {
      if (stage.over.aborted) resolve('over')
      stage.over.addEventListener('abort', () => resolve('over'), { once: true })
    })
    // Should it come to its end after all is over, nobody listens.
    answered.catch(() => undefined)
    if ((await Promise.race([answered, over])) !== 'over') {
      outcome = gaveUp.signal.aborted ? 'abandoned' : verifier.end?.reason === 'completed' ? 'completed' : 'failed'
      if (outcome === 'failed') error = `ended: ${verifier.end?.reason ?? 'without an end'}`
    }
  } catch (failure) {
    if (!(failure instanceof Refused) && !(failure instanceof ConnectionLost)) throw failure
    outcome = 'failed'
    error = failure.message
  }
  for (const timer of timers) clearTimeout(timer)
  const done = outcome === 'completed' ? stage.now() - ask.at : undefined
  if (outcome === 'completed' && known === undefined) {
    const text = await stage.transcript(id)
    if (text !== undefined) verifier.transcript(text)
  }
  stage.on('ended')
  return {
    door: stage.door,
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

/** Gives up when the first token, or the whole, is later than the model by more than the user bears. */
function patience(
  ask: Ask,
  meantFirst: number,
  meant: number,
  stage: Stage,
  gaveUp: AbortController,
  hasFirst: () => boolean,
): NodeJS.Timeout[] {
  if (ask.patience === undefined) return []
  const from = ask.at - stage.now() + ask.patience
  const onFirst = () => {
    if (!hasFirst()) gaveUp.abort()
  }
  // Where nothing comes before the whole, the whole is what one waits for.
  const whole = stage.door === 'request'
  return [setTimeout(onFirst, from + (whole ? meant : meantFirst)), setTimeout(() => gaveUp.abort(), from + meant)]
}
