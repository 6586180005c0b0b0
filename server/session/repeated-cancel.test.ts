// A cancel that a client repeats while the first is in progress has one effect, on one node and on two, even if an
// interrupting message begins another run meanwhile. Two hours of random use once showed two runs that the same cancel
// had ended.

import { type Event, makeId } from '@parley/protocol'
import { describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import { JetStreamHarness } from '../store/test/jetstream-harness.ts'
import { LmdbHarness } from '../store/test/lmdb-harness.ts'
import { catchUp } from './catch-up.ts'
import type { SessionServiceOptions } from './session-service.ts'
import { testService } from './test/test-service.ts'

type Stores = Pick<SessionServiceOptions['stores'], 'log' | 'transcripts' | 'runs'>

const ANN = { connection: 'c', user: 'ann', role: 'owner' }

/** Holds appends back. */
class Gate {
  readonly #isHeld: (event: Event) => boolean
  #isOpen = false
  #held: (() => void)[] = []
  #arrived: () => void = () => undefined

  constructor(isHeld: (event: Event) => boolean) {
    this.#isHeld = isHeld
  }

  async pass(event: Event): Promise<void> {
    if (this.#isOpen || !this.#isHeld(event)) return
    await new Promise<void>((resolve) => {
      this.#held.push(resolve)
      this.#arrived()
    })
  }

  /** Resolves when this many appends are held. */
  holds(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived = () => {
        if (this.#held.length >= count) resolve()
      }
      this.#arrived()
    })
  }

  open(): void {
    this.#isOpen = true
    for (const release of this.#held) release()
    this.#held = []
  }
}

function gated(log: SessionLog, gates: readonly Gate[]): SessionLog {
  const append: SessionLog['append'] = async (session, subject, event, ...others) => {
    for (const gate of gates) await gate.pass(event)
    return log.append(session, subject, event, ...others)
  }
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'append') return append
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const message = (policy: 'queue' | 'interrupt') => ({
  type: 'send' as const,
  id: makeId('c'),
  session: 's',
  content: 'Hello.',
  policy,
})

/**
 * A cancel reaches `here`, an interrupting message and the repeated cancel reach `there`, before either end of the first
 * run is in the log. Then `first` end comes first.
 */
async function race(here: Stores, there: Stores, first: 'cancelled' | 'superseded'): Promise<void> {
  const cancelled = new Gate((event) => event.type === 'run.ended' && event.reason === 'cancelled')
  const superseded = new Gate((event) => event.type === 'run.ended' && event.reason === 'superseded')
  const isOne = here === there
  const nodeOf = (stores: Stores, gates: readonly Gate[]) =>
    testService({ log: gated(stores.log, gates), transcripts: stores.transcripts, runs: stores.runs })
  const a = nodeOf(here, isOne ? [cancelled, superseded] : [cancelled])
  const b = isOne ? a : nodeOf(there, [superseded])
  try {
    const { run: original } = await a.service.send(message('queue'), ANN)
    const cancel = { type: 'cancel' as const, id: makeId('c'), session: 's' }
    const attempt = a.service.cancel(cancel, ANN)
    await cancelled.holds(1)
    const interrupting = b.service.send(message('interrupt'), ANN)
    await superseded.holds(1)
    const repeated = b.service.cancel(cancel, { ...ANN, connection: 'other' })
    // It waits for an end of the first run, or it has ended the next one already.
    await Promise.race([superseded.holds(2), repeated])
    const [early, late] = first === 'cancelled' ? [cancelled, superseded] : [superseded, cancelled]
    early.open()
    await (first === 'cancelled' ? attempt : Promise.race([repeated, cancelled.holds(2)]))
    late.open()
    const answers = await Promise.all([attempt, repeated])
    await interrupting
    await b.sessions.with('s', async (session) => {
      await catchUp(there, session)
      const ended = [...session.state.ended.values()].filter((run) => run.ended?.command === cancel.id)
      expect(ended).toHaveLength(1)
      expect(answers.map(({ run }) => run)).toEqual([ended[0]?.id, ended[0]?.id])
      expect(ended[0]?.id === original).toBe(first === 'cancelled')
    })
    expect(answers.filter(({ duplicate }) => duplicate === true)).toHaveLength(1)
  } finally {
    a.sessions.close()
    b.sessions.close()
  }
}

describe.each(['cancelled', 'superseded'] as const)('a cancel repeated while a run is %s', (first) => {
  it('ends one run on one node', async () => {
    const harness = await LmdbHarness.open()
    try {
      await race(harness, harness, first)
    } finally {
      await harness.close()
    }
  })

  it('ends one run on two nodes', async () => {
    const server = await NatsServer.start()
    const harness = await JetStreamHarness.open(server)
    const other = await harness.join()
    try {
      await race(harness.stores, other, first)
    } finally {
      await other.close()
      await harness.close()
      await server.dispose()
    }
  })
})
