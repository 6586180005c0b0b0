// A run that appends as fast as its log allows is cancelled on another node, which is farther from NATS than its driver: each
// compare of the cancel is overtaken before it arrives.
import type { LanguageModelV3, LanguageModelV3StreamPart } from '@ai-sdk/provider'
import { makeId } from '@parley/protocol'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { TcpProxy } from '../../bench/cluster/tcp-proxy.ts'
import type { ModelCatalog } from '../model/model.ts'
import { SessionCache } from '../session/session-cache.ts'
import { createSessionService } from '../session/session-service.ts'
import { findRun } from '../session/state/session-state.ts'
import { TRANSCRIPT_DEFAULTS, TranscriptWriter } from '../session/transcript/transcript-writer.ts'
import type { JetStreamStores } from '../store/jetstream/stores.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import { JetStreamHarness } from '../store/test/jetstream-harness.ts'
import { createRunEngine } from './run-engine.ts'
import { RUN_LIMITS } from './run-limits.ts'

const ROUNDS = 20
const FAR_MS = 5
const logger = pino({ level: 'silent' })
const CALLER = { connection: 'c', user: 'ada', role: 'owner' }

let server: NatsServer
let proxy: TcpProxy
let harness: JetStreamHarness
/** Of the gateway. */
let elsewhere: JetStreamStores
beforeAll(async () => {
  server = await NatsServer.start()
  harness = await JetStreamHarness.open(server)
  proxy = await TcpProxy.open(server.port)
  elsewhere = await harness.join({ url: `nats://127.0.0.1:${proxy.port}` })
})
afterAll(async () => {
  await elsewhere.close()
  await harness.close()
  await proxy.close()
  await server.dispose()
})

/** Always has a next token, and yields to the event loop. */
function chatterbox(): ModelCatalog {
  const doStream = async () => {
    const stream = new ReadableStream<LanguageModelV3StreamPart>(
      {
        async pull(controller) {
          controller.enqueue({ type: 'text-delta', id: '0', delta: 'token ' })
          await new Promise((resolve) => setImmediate(resolve))
        },
      },
      { highWaterMark: 0 },
    )
    return { stream }
  }
  const fields = { specificationVersion: 'v3', provider: 'p', modelId: 'm', supportedUrls: {}, doStream } as unknown
  const model = { id: 'm', language: fields as LanguageModelV3, prefill: 'none', contextTokens: 100_000 } as const
  return { defaultId: 'm', ids: ['m'], get: () => model }
}

function drive(stores: JetStreamStores) {
  const sessions = new SessionCache(stores)
  const engine = createRunEngine({
    log: stores.log,
    runs: stores.runs,
    sessions,
    transcripts: new TranscriptWriter(stores, { ...TRANSCRIPT_DEFAULTS, logger }),
    models: chatterbox(),
    agents: new Map(),
    system: undefined,
    serverTools: new Map(),
    limits: { ...RUN_LIMITS, outputTokens: 10_000_000 },
    node: 'worker',
    concurrency: 10,
    maxStalls: 3,
    maxAttempts: 50,
    logger,
  })
  return { engine, sessions }
}

/** Counts the attempts on this node. */
function counting(log: SessionLog) {
  const tries = { ends: 0 }
  const counted: SessionLog = {
    epoch: log.epoch,
    append(session, subject, event, expect, options) {
      if (event.type === 'run.ended' && options?.rollup !== true) tries.ends += 1
      return log.append(session, subject, event, expect, options)
    },
    writer: (session, subject) => log.writer(session, subject),
    read: (session, after, limits) => log.read(session, after, limits),
    follow: (session, after, follower) => log.follow(session, after, follower),
    head: (session) => log.head(session),
    last: (session, subject) => log.last(session, subject),
    purge: (session, keep) => log.purge(session, keep),
    sweep: () => log.sweep(),
  }
  return { log: counted, tries }
}

describe("a cancel on another node than the driver's", () => {
  it(`wins within a few tries of a run that never pauses (${ROUNDS} of them)`, async () => {
    const { engine, sessions } = drive(harness.stores)
    await engine.start()
    const { log, tries } = counting(elsewhere.log)
    const { transcripts, runs, appendYield } = elsewhere
    const stores = { log, transcripts, runs, appendYield }
    const here = new SessionCache(stores)
    const service = createSessionService({
      stores,
      sessions: here,
      checkChoice: () => undefined,
      open: true,
      serverTools: new Set(),
      leaseMs: 30_000,
      logger,
    })
    const most: number[] = []
    proxy.change({ kind: 'slow', ms: FAR_MS })
    for (let round = 0; round < ROUNDS; round += 1) {
      const session = `s${round}`
      const { run = '' } = await service.send({ type: 'send', id: makeId('c'), session, content: 'Talk.' }, CALLER)
      await here.with(session, async (own) => {
        await own.until(
          (state) => ((findRun(state, run)?.next ?? 0) > 20 ? true : undefined),
          AbortSignal.timeout(5_000),
        )
        tries.ends = 0
        const id = makeId('c')
        await service.cancel({ type: 'cancel', id, session, run }, CALLER)
        most.push(tries.ends)
        expect(findRun(own.state, run)?.ended).toMatchObject({ reason: 'cancelled', command: id })
      })
    }
    expect(Math.max(...most)).toBeLessThanOrEqual(8)
    await engine.stop(0)
    here.close()
    sessions.close()
  }, 30_000)
})
