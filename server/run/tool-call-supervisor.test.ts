// What becomes of a call whose run is over: nobody goes on looking at it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '@parley/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SessionCache } from '../session/session-cache.ts'
import { type LmdbStores, openLmdbStores } from '../store/lmdb/stores.ts'
import { keepCall } from './tool-call-supervisor.ts'

const RUN = 'run_1'
const usage = { inputTokens: 0, outputTokens: 0 }
const path = mkdtempSync(join(tmpdir(), 'parley-call-'))
const logger = pino({ enabled: false })
let stores: LmdbStores

beforeEach(async () => {
  stores = await openLmdbStores({ path, logger })
})
afterEach(async () => {
  await stores.close()
  rmSync(path, { recursive: true, force: true })
})

/** A call whose time is over, of a run that was cancelled. */
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

describe('a call whose time is over when its run is, too', () => {
  // Its owner had been stopped meanwhile (SIGSTOP): it looked at the call again and again, without ever letting the
  // process do anything else.
  it.each([
    ['that nobody claimed', undefined],
    ['whose claim ran out', { type: 'tool.claimed', run: RUN, call: 'call_1', connection: 'con_1', until: 1 }],
  ] as const)('%s is let go of', async (_, claim) => {
    await overdueCall(claim)
    const lease = await new SessionCache(stores).retain('s')
    const options = { log: stores.log, serverTools: new Map(), approvalMs: 0, clientToolMs: 0, owner: 'n/1', logger }
    await keepCall(options, lease.session, 'call_1', new AbortController().signal)
    expect(await stores.log.last('s', 'tool.call_1')).toBe(claim === undefined ? 3 : 4)
    lease.release()
  })

  it('is let go of by an owner that was told to stop', async () => {
    await overdueCall(undefined)
    const lease = await new SessionCache(stores).retain('s')
    const options = { log: stores.log, serverTools: new Map(), approvalMs: 0, clientToolMs: 0, owner: 'n/1', logger }
    const reason = new Error('enough')
    await expect(keepCall(options, lease.session, 'call_1', AbortSignal.abort(reason))).rejects.toBe(reason)
    lease.release()
  })
})
