// MemoryProbe: what a session costs a server in memory, attached and idle, and while it is answered: by how its resident
// memory grows from step to step, on a server of its own. The first step is thrown away: it warms what all share.
import { ByteMeter } from './byte-meter.ts'
import { sleep } from './drivers/driver.ts'
import { WebSocketDriver } from './drivers/websocket-driver.ts'
import { knownText } from './known-text.ts'
import { sorted } from './quantile.ts'
import { randomOf } from './random.ts'
import { StreamVerifier } from './stream-verifier.ts'
import type { Subject } from './subject.ts'

export interface MemoryCost {
  readonly sessions: number
  /** Bytes a session over WebSocket, attached: the middle step, the smallest and the largest. */
  readonly idle: { readonly middle: number; readonly low: number; readonly high: number }
  /** Bytes more, while all of them are answered at once. */
  readonly active: number
}

const STEPS = 4
const AT_ONCE = 100
/** Of the answers: long enough to be measured in their midst. */
const TOKENS = 30
const RATE = 5

/** @returns undefined where memory is not known */
export async function probeMemory(subject: Subject, sessions: number): Promise<MemoryCost | undefined> {
  const users: WebSocketDriver[] = []
  const meter = new ByteMeter()
  const [url = ''] = subject.urls
  const each = Math.ceil(sessions / STEPS)
  const settled = async () => {
    await sleep(1_500)
    return (await subject.usage())?.residentBytes
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
    const during = (await subject.usage())?.residentBytes
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
