// Test helper: runs users of one transport through a proxy that damages one output, and returns what the verifier
// found.

import type { TransportName } from '../drivers/driver.ts'
import { ByteMeter } from '../drivers/driver.ts'
import { openDriver } from '../drivers/open-driver.ts'
import { knownText } from '../plan.ts'
import { randomOf } from '../random.ts'
import { anyFault, StreamVerifier } from '../stream-verifier.ts'
import { type Plant, PlantingProxy } from './planting-proxy.ts'

/** All but the SDK: it may repair a damaged stream. */
export const PLANTED_TRANSPORTS: readonly TransportName[] = [
  'ws',
  'sse',
  'ndjson',
  'request',
  'long-poll',
  'short-poll',
]
export const PLANTS: readonly Plant[] = ['drop', 'repeat', 'swap']

const MOST_ROUNDS = 100
let asked = 0

export interface Found {
  /** Answers in which the verifier found faults, and planted faults. */
  readonly faulty: number
  readonly planted: number
  readonly outputs: number
}

/** Asks with `atOnce` users at a time, for answers of so many tokens, until one output was damaged. */
export async function plantAndLook(
  url: string,
  door: TransportName,
  plant: Plant,
  every: number,
  tokens: number,
  atOnce: number,
): Promise<Found> {
  const proxy = await PlantingProxy.start(url, plant, every)
  try {
    let faulty = 0
    for (let round = 0; proxy.planted === 0; round += 1) {
      if (round === MOST_ROUNDS) throw new Error(`no fault was planted in ${proxy.outputs} outputs`)
      const looks = await Promise.all(Array.from({ length: atOnce }, () => isFaulty(proxy.url, door, tokens)))
      faulty += looks.filter((found) => found).length
    }
    return { faulty, planted: proxy.planted, outputs: proxy.outputs }
  } finally {
    await proxy.stop()
  }
}

async function isFaulty(url: string, door: TransportName, tokens: number): Promise<boolean> {
  asked += 1
  const session = `planted-${asked}`
  const random = randomOf(1, asked)
  const context = {
    url,
    session,
    model: undefined,
    token: undefined,
    silenceMs: 20_000,
    meter: new ByteMeter(),
    random,
  }
  const user = openDriver(door, context)
  await user.arrive()
  const nothing = () => undefined
  const watch = { outputs: nothing, interrupted: nothing, resumed: nothing, reset: nothing }
  const verifier = new StreamVerifier(knownText(tokens))
  const content = `/demo count=${tokens} rate=1000`
  await user.ask({ id: `${session}-ask`, content, verifier, watch, gaveUp: new AbortController().signal })
  user.close()
  return anyFault(verifier.faults)
}
