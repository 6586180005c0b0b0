// A client that starts a run and reads it over random transports and nodes.
import { setTimeout as sleep } from 'node:timers/promises'
import { makeId } from '@parley/protocol'
import { demoCount } from '../strict-client.ts'
import { TRANSPORTS } from './all-transports.ts'
import { Receiver } from './receiver.ts'
import { type MessageRequest, TransportError } from './transport-driver.ts'

export interface Hopping {
  /** URLs of the nodes, without a path. */
  readonly nodes: readonly string[]
  readonly random: () => number
  /** Outputs of the demo model, and their number per second. */
  readonly count: number
  readonly rate: number
  /** Longest time on one transport, in milliseconds. */
  readonly stayMs: number
  readonly session?: string
}

/** Transports that can start a run. A response creates its own session, so the message's key does not find it. */
const STARTERS = TRANSPORTS.filter(({ name }) => name !== 'OpenAI responses')
/** Errors of a node that was just killed or is starting. */
const TRANSIENT: ReadonlySet<string> = new Set(['unavailable', 'going_away', 'contended'])

/** Reads one run to its end and checks its text. @returns the number of transports it used */
export async function readAtRandom(options: Hopping): Promise<number> {
  const { nodes, random, count, rate, stayMs, session = makeId('s') } = options
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const message: MessageRequest = { session, id: makeId('c'), content: `/demo count=${count} rate=${rate} ttft=0` }
  const receiver = new Receiver()
  let transports = 0
  while (!receiver.hasEnd) {
    const transport = pick(receiver.run === '' ? STARTERS : TRANSPORTS)
    const node = pick(nodes)
    try {
      // A start with the same key finds the same run.
      const reading =
        receiver.run === ''
          ? (await transport.begin(node, message)).reading
          : await transport.resume(node, message, receiver.run, receiver.cursor)
      transports += 1
      const disconnect = setTimeout(() => reading.stop(), random() * stayMs)
      try {
        await receiver.read(reading, () => receiver.hasEnd)
      } finally {
        clearTimeout(disconnect)
        reading.stop()
      }
    } catch (error) {
      // The reading was stopped, or its node was killed. Any other error is a failure.
      if (error instanceof TransportError && !TRANSIENT.has(error.code)) throw error
      await sleep(20 + random() * 80)
    }
  }
  receiver.expectText(demoCount(count))
  return transports
}
