// The call of an ended run: supervision stops.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '@parley/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SessionCache } from '../session/session-cache.ts'
import { type LmdbStores, openLmdbStores } from '../store/lmdb/stores.ts'
import { superviseCall } from './tool-call-supervisor.ts'

const RUN = 'run_1'
const usage = { inputTokens: 0, outputTokens: 0 }
const path = mkdtempSync(join(tmpdir(), 'parley-call-'))
const logger = pino({ enabled: false })
let stores: LmdbStores

beforeEach(async () => {
  stores = await openLmdbStores({ path, logger })
})
afterEach(async () => {
  vi.useRealTimers()
  await stores.close()
  rmSync(path, { recursive: true, force: true })
})

/** An expired call of a cancelled run. */
async function overdueCall(claim: Partial<Event> | undefined): Promise<void> {
  const append = async (subject: string, event: Event, expect: number): Promise<number> =>
    (await stores.log.append('s', subject, event, expect)).seq
  const message = { type: 'message', id: 'c_1', role: 'user', author: 'ada', content: [], policy: 'queue', run: RUN }
  await append('in.c_1', message as Event, 0)
  const run = { run: RUN, epoch: 1, model: 'demo', message: 'c_1', next: 0 }
  const started = await append(`run.${RUN}`, { type: 'run.started', mode: 'new', ...run }, 0)
  const about = {
    run: RUN,
    call: 'call_1',
    name: 'work',
    input: {},
    where: 'client',
    approval: false,
    step: 0,
  } as const
  const called = await append('tool.call_1', { type: 'tool.called', ...about, attempt: 1, until: Date.now() - 1 }, 0)
  if (claim !== undefined) await append('tool.call_1', claim as Event, called)
  await append(`run.${RUN}`, { type: 'run.ended', run: RUN, reason: 'cancelled', usage, next: 0 }, started)
}

const OWN = {
  owner: 'n/1',
  logger,
  extras: { reports: () => ({ data: () => undefined, progress: () => undefined, settled: async () => undefined }) },
}

describe('a call that waits for approval', () => {
  it('expires at its time although the clock of the node is set back', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const append = async (subject: string, event: Event): Promise<number> =>
      (await stores.log.append('s', subject, event, 0)).seq
    const message = { type: 'message', id: 'c_1', role: 'user', author: 'ada', content: [], policy: 'queue', run: RUN }
    await append('in.c_1', message as Event)
    const run = { run: RUN, epoch: 1, model: 'demo', message: 'c_1', next: 0 }
    await append(`run.${RUN}`, { type: 'run.started', mode: 'new', ...run })
    const call = { run: RUN, call: 'call_1', name: 'pay', input: {}, where: 'client', approval: true, step: 0 } as const
    await append('tool.call_1', { type: 'tool.called', ...call, attempt: 1, until: Date.now() + 200 })
    const lease = await new SessionCache(stores).retain('s')
    const waits = { approvalMs: 0, clientToolMs: 0, offerChild: () => Promise.resolve() }
    const options = { log: stores.log, serverTools: new Map(), ...waits, ...OWN }
    const startedAt = performance.now()
    const supervised = superviseCall(options, lease.session, 'call_1', new AbortController().signal)
    vi.setSystemTime(Date.now() - 3_600_000)
    await supervised
    expect(performance.now() - startedAt).toBeGreaterThan(190)
    lease.release()
  })
})

describe('an expired call of an ended run', () => {
  // Regression: after a SIGSTOP, the driver checked the call in an endless loop and blocked the process.
  it.each([
    ['that nobody claimed', undefined],
    ['whose claim ran out', { type: 'tool.claimed', run: RUN, call: 'call_1', connection: 'con_1', until: 1 }],
  ] as const)('%s is let go of', async (_, claim) => {
    await overdueCall(claim)
    const lease = await new SessionCache(stores).retain('s')
    const waits = { approvalMs: 0, clientToolMs: 0, offerChild: () => Promise.resolve() }
    const options = { log: stores.log, serverTools: new Map(), ...waits, ...OWN }
    await superviseCall(options, lease.session, 'call_1', new AbortController().signal)
    expect(await stores.log.last('s', 'tool.call_1')).toBe(claim === undefined ? 3 : 4)
    lease.release()
  })

  it('is released by a stopped driver', async () => {
    await overdueCall(undefined)
    const lease = await new SessionCache(stores).retain('s')
    const waits = { approvalMs: 0, clientToolMs: 0, offerChild: () => Promise.resolve() }
    const options = { log: stores.log, serverTools: new Map(), ...waits, ...OWN }
    const reason = new Error('enough')
    await expect(superviseCall(options, lease.session, 'call_1', AbortSignal.abort(reason))).rejects.toBe(reason)
    lease.release()
  })
})
