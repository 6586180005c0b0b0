// A cancel that a client repeats while the first is in progress: it has one effect, even if an interrupting message has
// begun another run meanwhile. Two hours of random use once showed two runs that the same cancel had ended.
import { makeId } from '@parley/protocol'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { SessionLog } from '../store/ports/session-log.ts'
import { LmdbHarness } from '../store/test/lmdb-harness.ts'
import { testService } from './test/test-service.ts'

const ANN = { connection: 'c', user: 'ann', role: 'owner' }

let harness: LmdbHarness
beforeEach(async () => {
  harness = await LmdbHarness.open()
})
afterEach(() => harness.close())

/** A log whose first append of a cancelled run's end waits for `release`. */
function slowCancel(log: SessionLog): { log: SessionLog; waits: Promise<void>; release: () => void } {
  let release = (): void => undefined
  let arrive = (): void => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const waits = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const append: SessionLog['append'] = async (session, subject, event, ...others) => {
    if (event.type === 'run.ended' && event.reason === 'cancelled') {
      arrive()
      await released
    }
    return log.append(session, subject, event, ...others)
  }
  const slow = new Proxy(log, {
    get: (target, name) => {
      if (name === 'append') return append
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { log: slow, waits, release }
}

it('ends one run', async () => {
  const { log, waits, release } = slowCancel(harness.log)
  const { service, sessions } = testService({ log, transcripts: harness.transcripts, runs: harness.runs })
  const message = (policy: 'queue' | 'interrupt') => ({
    type: 'send' as const,
    id: makeId('c'),
    session: 's',
    content: 'Hello.',
    policy,
  })
  await service.send(message('queue'), ANN)
  const cancel = { type: 'cancel' as const, id: makeId('c'), session: 's' }
  const first = service.cancel(cancel, ANN)
  await waits
  const second = await service.send(message('interrupt'), ANN)
  const repeated = service.cancel(cancel, { ...ANN, connection: 'other' })
  release()
  const answers = await Promise.all([first, repeated])
  expect(answers[1]).toMatchObject({ run: answers[0].run, duplicate: true })
  await sessions.with('s', async (session) => {
    await session.reached(Math.max(...answers.map(({ seq }) => seq), second.seq))
    const ended = [...session.state.ended.values()].filter((run) => run.ended?.command === cancel.id)
    expect(ended.map(({ id }) => id)).toEqual([answers[0].run])
  })
})
