// MemoryProbe: measures the memory of one session, idle and during an answer, by the growth of a server's resident
// memory. The server is started for this purpose. The first step is a warm-up of shared structures and does not count.
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteMeter } from './drivers/driver.ts'
import { WebSocketDriver } from './drivers/websocket-driver.ts'
import { knownText } from './plan.ts'
import { sorted } from './quantile.ts'
import { randomOf } from './random.ts'
import { StreamVerifier } from './stream-verifier.ts'
import type { Target } from './target.ts'

export interface MemoryCost {
  readonly sessions: number
  /** Bytes per attached WebSocket session: the median, smallest and largest step. */
  readonly idle: { readonly middle: number; readonly low: number; readonly high: number }
  /** Additional bytes per session while all of them stream an answer. */
  readonly active: number
}

const STEPS = 4
const AT_ONCE = 100
/** Answers long enough to measure memory while they stream. */
const TOKENS = 30
const RATE = 5

/** @returns undefined without memory figures */
export async function probeMemory(target: Target, sessions: number): Promise<MemoryCost | undefined> {
  const users: WebSocketDriver[] = []
  const meter = new ByteMeter()
  const [url = ''] = target.urls
  const each = Math.ceil(sessions / STEPS)
  const settled = async () => {
    await sleep(1_500)
    return (await target.usage())?.residentBytes
  }
  try {
    const grown: number[] = []
    let before = await settled()
    for (let step = 0; step < STEPS; step += 1) {
      for (let done = 0; done < each; done += AT_ONCE) {
        const batch = Array.from({ length: Math.min(AT_ONCE, each - done) }, (_, at) => {
          const session = `memory-${users.length + at}`
          const random = randomOf(1, 'memory', users.length + at)
          return new WebSocketDriver({
            url,
            session,
            model: undefined,
            token: undefined,
            silenceMs: 60_000,
            meter,
            random,
          })
        })
        users.push(...batch)
        await Promise.all(batch.map((user) => user.arrive()))
      }
      const after = await settled()
      if (after === undefined || before === undefined) return undefined
      if (step > 0) grown.push((after - before) / each)
      before = after
    }
    const [low = 0, middle = 0, high = 0] = sorted(grown)
    const answers = users.map((user, at) => ask(user, at))
    await sleep((TOKENS / RATE / 2) * 1000)
    const during = (await target.usage())?.residentBytes
    await Promise.all(answers)
    if (during === undefined || before === undefined) return undefined
    return { sessions: users.length, idle: { middle, low, high }, active: (during - before) / users.length }
  } finally {
    for (const user of users) user.close()
  }
}

function ask(user: WebSocketDriver, at: number): Promise<void> {
  const nothing = () => undefined
  const watch = { outputs: nothing, interrupted: nothing, resumed: nothing, reset: nothing }
  const verifier = new StreamVerifier(knownText(TOKENS))
  const gaveUp = new AbortController().signal
  return user.ask({ id: `memory-ask-${at}`, content: `/demo count=${TOKENS} rate=${RATE}`, verifier, watch, gaveUp })
}
