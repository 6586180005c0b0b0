// Suspicion in virtual time: a judge and a peer with arbitrary pauses of both, delays of the network, and deaths.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Suspicion from './suspicion.ts'

const SILENT_MS = 2_000
const TICK_MS = 50
const STEP_MS = 5

interface Pause {
  readonly at: number
  readonly ms: number
}

interface World {
  readonly runs: number
  readonly judgePauses?: readonly Pause[]
  readonly peerPauses?: readonly Pause[]
  /** Of each message. */
  readonly delayMs: (number: number) => number
  /** The peer's process is killed, or paused for ever. */
  readonly dies?: { readonly at: number; readonly how: 'killed' | 'frozen' }
  readonly isServerAlive?: boolean
  /** The peer's connection breaks, and it reconnects. */
  readonly breaks?: Pause
}

interface Verdict {
  readonly at: number
  readonly cause: Suspicion.Cause
}

/** Runs both nodes, in steps, until the judge gives the peer up. */
function simulate(world: World): Verdict | undefined {
  const { runs, judgePauses = [], peerPauses = [], dies, breaks, isServerAlive = true } = world
  const within = (pauses: readonly Pause[], now: number) => pauses.some(({ at, ms }) => now >= at && now < at + ms)
  let sent = 0
  const queues: Record<'sign' | 'echo' | 'question' | 'answer' | 'absence', number[]> = {
    sign: [],
    echo: [],
    question: [],
    answer: [],
    absence: [],
  }
  const send = (queue: keyof typeof queues, now: number): void => {
    const [last = 0] = queues[queue].slice(-1)
    // TCP keeps the order.
    queues[queue].push(Math.max(last, now + world.delayMs(sent++)))
  }
  const receive = (queue: keyof typeof queues, now: number): number => {
    const count = queues[queue].filter((at) => at <= now).length
    queues[queue].splice(0, count)
    return count
  }
  let peer = Suspicion.heard(0, 's1')
  let at = 0
  let tickedAt = 0
  let judgeSignedAt = 0
  let peerSignedAt = 0
  const unheard: number[] = []
  for (let now = 0; now < runs; now += STEP_MS) {
    const isDead = dies !== undefined && now >= dies.at
    const isConnected = !(isDead && dies.how === 'killed') && !(breaks !== undefined && within([breaks], now))
    const isRunning = !isDead && !within(peerPauses, now)
    if (isRunning && isConnected) {
      if (now - peerSignedAt >= Suspicion.SIGN_MS) {
        peerSignedAt = now
        send('sign', now)
      }
      for (let count = receive('question', now); count > 0; count -= 1) send('answer', now)
    }
    if (within(judgePauses, now)) continue
    // Node.js runs due timers before it reads sockets, so a judge that was paused ticks before it hears.
    if (now - tickedAt >= TICK_MS) {
      at += Suspicion.observed(now - tickedAt, true, unheard[0] === undefined ? 0 : now - unheard[0])
      tickedAt = now
      if (now - judgeSignedAt >= Suspicion.SIGN_MS) {
        judgeSignedAt = now
        unheard.push(now)
        send('echo', now)
      }
      const step = Suspicion.nextStep(peer, at, isServerAlive, { silentMs: SILENT_MS })
      if (step.do === 'lose') return { at: now, cause: step.cause }
      if (step.do === 'ask') {
        peer = Suspicion.asked(peer, at)
        send(isConnected ? 'question' : 'absence', now)
      }
    }
    for (let count = receive('absence', now); count > 0; count -= 1) peer = Suspicion.absent(peer)
    unheard.splice(0, receive('echo', now))
    if (receive('sign', now) + receive('answer', now) > 0) peer = Suspicion.heard(at, 's1')
  }
  return undefined
}

const pauses = (maxMs: number) =>
  fc.array(fc.record({ at: fc.integer({ min: 0, max: 15_000 }), ms: fc.integer({ min: 1, max: maxMs }) }), {
    maxLength: 8,
  })
const delays = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 20 })
const delayOf = (ms: readonly number[]) => (number: number) => ms[number % ms.length] ?? 0

/** Pauses that overlap or touch are one longer pause. */
function longest(all: readonly Pause[]): number {
  let until = Number.NEGATIVE_INFINITY
  let from = 0
  let max = 0
  for (const { at, ms } of [...all].sort((a, b) => a.at - b.at)) {
    // A peer needs a moment between two pauses to say something.
    if (at > until + 60) from = at
    until = Math.max(until, at + ms)
    max = Math.max(max, until - from)
  }
  return max
}

describe('a node', () => {
  it('is not lost while it lives, whatever pauses it, its judge and the network make', () => {
    fc.assert(
      fc.property(pauses(5_000), pauses(1_000), delays, (judgePauses, peerPauses, ms) => {
        fc.pre(longest(peerPauses) < SILENT_MS - Suspicion.SIGN_MS - 300)
        expect(simulate({ runs: 16_000, judgePauses, peerPauses, delayMs: delayOf(ms) })).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  it('that is killed is lost within 600 ms, and one that is frozen soon after the node timeout', () => {
    const how = fc.constantFrom('killed' as const, 'frozen' as const)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3_000 }), how, delays, (at, how, ms) => {
        const verdict = simulate({ runs: 8_000, dies: { at, how }, delayMs: delayOf(ms) })
        expect(verdict?.cause).toBe(how === 'killed' ? 'gone' : 'silent')
        const afterMs = (verdict?.at ?? 0) - at
        expect(afterMs).toBeLessThanOrEqual(how === 'killed' ? 600 : SILENT_MS + 300)
        // The last sign came up to one interval before.
        expect(afterMs).toBeGreaterThan(how === 'killed' ? 100 : SILENT_MS - Suspicion.SIGN_MS - 60)
      }),
      { numRuns: 200 },
    )
  })

  it('that is frozen is never lost by a judge that cannot hear for as long', () => {
    const dies = { at: 0, how: 'frozen' as const }
    // The judge runs for 60 ms at a time.
    const judgePauses = Array.from({ length: 40 }, (_, index) => ({ at: index * 500, ms: 440 }))
    const verdict = simulate({ runs: 16_000, dies, judgePauses, delayMs: () => 10 })
    expect(verdict?.at ?? Number.POSITIVE_INFINITY).toBeGreaterThan(SILENT_MS * 3)
  })

  it('that reconnects at once after its connection broke is not lost', () => {
    fc.assert(
      fc.property(fc.integer({ min: 500, max: 3_000 }), delays, (at, ms) => {
        expect(simulate({ runs: 6_000, breaks: { at, ms: 60 }, delayMs: delayOf(ms) })).toBeUndefined()
      }),
    )
  })

  it('whose NATS server may have failed gets time to reach another one', () => {
    for (let at = 500; at < 700; at += STEP_MS) {
      const world = { runs: 6_000, delayMs: () => 5, isServerAlive: false }
      expect(simulate({ ...world, breaks: { at, ms: 600 } })).toBeUndefined()
      const verdict = simulate({ ...world, dies: { at, how: 'killed' } })
      expect((verdict?.at ?? Number.POSITIVE_INFINITY) - at).toBeLessThanOrEqual(1_150)
    }
  })
})

describe('a judge that has just reconnected', () => {
  it('gives absent nodes the whole timeout to reconnect, too', () => {
    let peer = Suspicion.reconnected(Suspicion.heard(0, 's1'), 1_000)
    peer = Suspicion.absent(Suspicion.asked(peer, 1_300))
    peer = Suspicion.absent(Suspicion.asked(peer, 1_400))
    const step = (at: number) => Suspicion.nextStep(peer, at, true, { silentMs: SILENT_MS })
    expect(step(2_900)).toEqual({ do: 'ask' })
    expect(step(3_000)).toEqual({ do: 'lose', cause: 'gone' })
    // A lost node is not forgiven by a reconnect.
    expect(Suspicion.reconnected(Suspicion.lost(peer, 3_000), 3_100).phase).toBe('lost')
  })
})

describe('nodes take turns', () => {
  it('so that each has another rank, which all of them compute alike', () => {
    const ids = Array.from({ length: 20 }, (_, index) => `node${index}`)
    const ranks = ids.map((id) =>
      Suspicion.rankOf(
        id,
        ids.filter((other) => other !== id),
        'dead',
      ),
    )
    expect([...ranks].sort((a, b) => a - b)).toEqual(ids.map((_, index) => index))
    const firsts = Array.from({ length: 40 }, (_, dead) => {
      return ids.find(
        (id) =>
          Suspicion.rankOf(
            id,
            ids.filter((other) => other !== id),
            `dead${dead}`,
          ) === 0,
      )
    })
    expect(new Set(firsts).size).toBeGreaterThan(8)
  })
})
