// Tests each rule of the transport choice, and that in any network the client ends at the best transport that works.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DEFAULT_POLICY, type Door, STABLE_MS, TRANSPORTS } from '../transport/door.ts'
import type { LossKind } from '../transport/transport.ts'
import {
  type ChoiceEvent,
  newChoice,
  nextChoice,
  opening,
  preferring,
  probeDelay,
  type TransportChoice,
  transportOf,
} from './transport-choice.ts'

const OPENED: ChoiceEvent = { type: 'opened' }
const STABLE: ChoiceEvent = { type: 'stable' }

/** The server answers over plain HTTP. */
const ANSWERED: ChoiceEvent = { type: 'answered' }

function lost(kind: LossKind, openMs = 0): ChoiceEvent {
  return { type: 'lost', kind, openMs }
}

const SILENT: ChoiceEvent = { type: 'lost', kind: 'unreachable', openMs: 0, silent: true }
const FOREIGN: ChoiceEvent = { type: 'lost', kind: 'unreachable', openMs: 0, foreign: true }

/** A WebSocket fails, the server answers over plain HTTP, and the next WebSocket fails, too. */
const BLOCKED = [lost('unreachable'), ANSWERED, lost('unreachable')]

function after(events: readonly ChoiceEvent[], from = newChoice(TRANSPORTS)): TransportChoice {
  return events.reduce(nextChoice, from)
}

describe('the transport choice', () => {
  it('starts with a WebSocket', () => {
    expect(transportOf(newChoice(TRANSPORTS))).toEqual({ door: 'websocket', moves: 0 })
  })

  it('falls back to server-sent events if WebSockets do not open', () => {
    expect(transportOf(after([...BLOCKED, OPENED]))).toEqual({ door: 'sse', why: 'blocked', moves: 0 })
  })

  it('falls back to long polling if something buffers streams', () => {
    const choice = after([...BLOCKED, OPENED, lost('stalled'), OPENED])
    expect(transportOf(choice)).toEqual({ door: 'long-poll', why: 'buffered', moves: 1 })
    expect(choice.reasons).toEqual({ websocket: 'blocked', sse: 'buffered' })
  })

  it('leaves a transport that breaks early three times in a row, but not one that was stable in between', () => {
    const broken = lost('broken', STABLE_MS - 1)
    expect(transportOf(after([OPENED, broken, OPENED, broken])).door).toBe('websocket')
    expect(transportOf(after([OPENED, broken, OPENED, broken, OPENED, broken]))).toMatchObject({
      door: 'sse',
      why: 'unstable',
    })
    const held = [OPENED, broken, OPENED, broken, OPENED, STABLE, lost('broken', STABLE_MS), OPENED, broken]
    expect(after(held).current).toBe('websocket')
  })

  it('keeps the transport when the server ends the connection', () => {
    for (const at of [newChoice(TRANSPORTS), after([...BLOCKED, OPENED])]) {
      expect(after([lost('by-server'), lost('by-server'), lost('by-server'), lost('by-server')], at).current).toBe(
        at.current,
      )
    }
  })

  it('asks over plain HTTP after a WebSocket broke, and opens the next one when the server answers', () => {
    const broken = after([OPENED, STABLE, ANSWERED, lost('broken', 60_000)])
    expect([opening(broken), transportOf(broken)]).toEqual(['sse', { door: 'websocket', moves: 0 }])
    const away = after(Array<ChoiceEvent>(40).fill(lost('unreachable')), broken)
    expect([opening(away), transportOf(away)]).toEqual(['sse', { door: 'websocket', moves: 0 }])
    const back = after([ANSWERED], away)
    expect(opening(back)).toBe('websocket')
    expect(transportOf(after([OPENED], back))).toEqual({ door: 'websocket', moves: 0 })
  })

  it.each([
    ['plain HTTP has never worked', false, lost('unreachable')],
    ['something else answers', true, FOREIGN],
  ])('tries a WebSocket between two questions if %s', (_, httpWorks, unanswered) => {
    let choice = after([OPENED, STABLE, ...(httpWorks ? [ANSWERED] : []), lost('broken', 60_000)])
    const opened = Array.from({ length: 4 }, () => {
      const name = opening(choice)
      choice = nextChoice(choice, name === 'websocket' ? lost('unreachable') : unanswered)
      return name
    })
    expect(opened).toEqual(['sse', 'websocket', 'sse', 'websocket'])
    expect(transportOf(after([ANSWERED, OPENED], choice))).toEqual({ door: 'websocket', moves: 0 })
  })

  it('keeps asking while the server itself answers with errors', () => {
    const asking = after([lost('unreachable'), lost('by-server'), lost('unreachable')])
    expect([opening(asking), asking.current, asking.httpWorks]).toEqual(['sse', 'websocket', true])
  })

  it('falls back at once if a WebSocket is silent while the server answers, and finds out later why', () => {
    const choice = after([SILENT, ANSWERED, OPENED, STABLE])
    expect(transportOf(choice)).toEqual({ door: 'sse', why: 'blocked', moves: 0 })
    expect([choice.inconclusive, probeDelay(choice, DEFAULT_POLICY, 0.999_999)]).toEqual([true, 2_000])
    expect(after([{ type: 'probed' }], choice).inconclusive).toBe(false)
    expect(after([{ type: 'probed', better: 'websocket' }, OPENED], choice).inconclusive).toBe(false)
    // The server may have returned in between.
    expect(opening(after([SILENT, lost('unreachable'), lost('unreachable'), ANSWERED]))).toBe('websocket')
  })

  it('waits for the server with the transport that opened last', () => {
    const polls = after([...BLOCKED, OPENED, lost('stalled'), OPENED, lost('broken', 60_000)])
    expect(after(Array<ChoiceEvent>(5).fill(lost('unreachable')), polls)).toMatchObject({ current: 'long-poll' })
  })

  it('moves up after a successful probe, and falls back when the better transport fails', () => {
    const up = after([...BLOCKED, OPENED, { type: 'probed', better: 'websocket' }, OPENED])
    expect(transportOf(up)).toEqual({ door: 'websocket', moves: 1 })
    const soon = [lost('broken', 10), OPENED]
    expect(after([...soon, ...soon, lost('broken', 10)], up).current).toBe('sse')
  })

  it('ignores a probe of a worse transport', () => {
    expect(after([OPENED, { type: 'probed', better: 'sse' }]).current).toBe('websocket')
  })

  it('never leaves the only transport', () => {
    const only = newChoice(['sse'])
    for (const kind of ['unreachable', 'broken', 'stalled', 'refused', 'by-server'] as const) {
      const choice = after([lost(kind), OPENED, lost(kind), OPENED, lost(kind), lost(kind)], only)
      expect(transportOf(choice)).toEqual({ door: 'sse', moves: 0 })
      expect(probeDelay(choice, DEFAULT_POLICY, 0.5)).toBeUndefined()
    }
  })

  it('starts with the remembered transport and reports it', () => {
    expect(transportOf(newChoice(TRANSPORTS, 'sse'))).toEqual({ door: 'sse', why: 'remembered', moves: 0 })
    expect(newChoice(['websocket'], 'sse').current).toBe('websocket')
  })

  it('probes after a random delay that doubles up to a limit', () => {
    let choice = after([...BLOCKED, OPENED])
    const delays = Array.from({ length: 8 }, () => {
      const delay = probeDelay(choice, DEFAULT_POLICY, 0.999_999)
      choice = after([{ type: 'probed' }], choice)
      return delay
    })
    expect(delays).toEqual([30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000])
    expect(probeDelay(after([...BLOCKED, OPENED]), DEFAULT_POLICY, 0)).toBe(15_000)
  })

  it('probes a transport that was stable earlier, and ever less often while it flaps', () => {
    const fallen = [lost('broken', 10), OPENED, lost('broken', 10), OPENED, lost('broken', 10), OPENED]
    let choice = after([OPENED, STABLE, ...fallen])
    const delays = Array.from({ length: 4 }, () => {
      const delay = probeDelay(choice, DEFAULT_POLICY, 0.999_999)
      choice = after([{ type: 'probed', better: 'websocket' }, OPENED, STABLE, ...fallen], choice)
      return delay
    })
    expect(delays).toEqual([2_000, 4_000, 8_000, 16_000])
    const good = after([{ type: 'probed', better: 'websocket' }, OPENED, STABLE, lost('broken', 60_000)], choice)
    expect(probeDelay(after([...BLOCKED, OPENED], good), DEFAULT_POLICY, 0.999_999)).toBe(2_000)
  })
})

describe('the server’s order of preference', () => {
  const preferred = (...names: string[]): ChoiceEvent => ({ type: 'preferred', order: preferring(names) })

  it('may name some transports; the others follow', () => {
    expect(preferring()).toEqual(TRANSPORTS)
    expect(preferring(['poll'])).toEqual(['long-poll', 'websocket', 'sse'])
    expect(preferring(['sse', 'telegraph', 'sse'])).toEqual(['sse', 'websocket', 'long-poll'])
  })

  it('moves the client before its first use of a transport, which does not count as a move', () => {
    const choice = after([preferred('sse'), OPENED])
    expect(transportOf(choice)).toEqual({ door: 'sse', moves: 0 })
    expect(probeDelay(choice, DEFAULT_POLICY, 0.5)).toBeUndefined()
  })

  it('skips transports that failed', () => {
    const blocked = [...BLOCKED, preferred('websocket', 'poll'), OPENED]
    expect(transportOf(after(blocked))).toEqual({ door: 'long-poll', why: 'blocked', moves: 0 })
    const known = newChoice(TRANSPORTS, 'long-poll')
    expect(transportOf(after([preferred('sse')], known))).toEqual({ door: 'long-poll', why: 'remembered', moves: 0 })
  })

  it('determines the fallback from a blocked transport', () => {
    const choice = after([preferred('sse'), OPENED, lost('refused'), OPENED])
    expect(transportOf(choice)).toEqual({ door: 'websocket', why: 'blocked', moves: 1 })
  })

  it('skips plain HTTP if only WebSockets work', () => {
    const choice = after([preferred('sse', 'poll'), lost('unreachable'), OPENED, preferred('sse', 'poll')])
    expect(transportOf(choice)).toEqual({ door: 'websocket', why: 'blocked', moves: 0 })
    expect(choice.reasons).toEqual({ sse: 'blocked', 'long-poll': 'blocked' })
  })

  it('does not move the client repeatedly if nodes disagree', () => {
    let choice = after([preferred('sse')])
    for (let turn = 0; turn < 5; turn += 1)
      choice = after([preferred(), OPENED, lost('broken', 10), preferred('poll')], choice)
    expect(choice.order[0]).toBe('sse')
    expect(after([preferred(), OPENED, STABLE, lost('broken', 60_000), preferred()], choice).current).toBe('websocket')
  })

  it('does not affect a client with a fixed transport', () => {
    expect(after([preferred('sse'), OPENED], newChoice(['websocket'])).current).toBe('websocket')
  })
})

/** A network: which transports work, and how the others fail. */
const Network = fc.record({
  websocket: fc.constantFrom('works', 'unreachable', 'silent', 'broken'),
  sse: fc.constantFrom('works', 'stalled', 'refused', 'broken'),
  away: fc.boolean(),
})
type Network = typeof Network extends fc.Arbitrary<infer T> ? T : never

/** One use of the transport to open in this network, with a probe if it works. A held WebSocket outlasts each use. */
function live(
  choice: TransportChoice,
  network: Omit<Network, 'websocket'> & { readonly websocket: Network['websocket'] | 'held' },
): TransportChoice {
  const name = opening(choice)
  if (network.away) return nextChoice(choice, lost('unreachable'))
  if (name !== 'websocket') {
    const answered = nextChoice(choice, ANSWERED)
    if (opening(answered) !== name) return answered
  }
  const fate = name === 'long-poll' ? 'works' : network[name]
  if (fate === 'unreachable') return nextChoice(choice, lost('unreachable'))
  if (fate === 'silent' || fate === 'held') return nextChoice(choice, SILENT)
  const open = nextChoice(choice, OPENED)
  if (fate !== 'works') return nextChoice(open, lost(fate, 10))
  const stable = nextChoice(open, STABLE)
  if (network.websocket === 'held') return stable
  const better = best(network, choice.order)
  return choice.order.indexOf(better) < choice.order.indexOf(name)
    ? after([{ type: 'probed', better }, OPENED, STABLE], stable)
    : nextChoice(after([{ type: 'probed' }], stable), lost('broken', 60_000))
}

function best(network: Parameters<typeof live>[1], order: readonly Door[]): Door {
  return order.find((one) => one === 'long-poll' || network[one] === 'works') ?? 'long-poll'
}

/** More uses than any way to the best transport needs. */
const TRIES = 36

describe('in any network', () => {
  it('the client reaches the best transport that works, in any order and after any history, and stays', () => {
    const past = fc.array(fc.tuple(Network, fc.nat(5)), { maxLength: 6 })
    const remembered = fc.option(fc.constantFrom(...TRANSPORTS), { nil: undefined })
    const order = fc
      .constantFrom(...TRANSPORTS)
      .chain((one) => fc.constantFrom(...TRANSPORTS).map((two) => preferring([one, two])))
    fc.assert(
      fc.property(past, Network, remembered, order, order, (before, last, known, first, preferred) => {
        let choice = nextChoice(newChoice(first, known), { type: 'preferred', order: preferred })
        for (const [network, tries] of before) for (let i = 0; i < tries; i += 1) choice = live(choice, network)
        const network = { ...last, away: false }
        for (let i = 0; i < TRIES; i += 1) choice = live(choice, network)
        for (let i = 0; i < 6; i += 1) {
          expect(choice.current).toBe(best(network, preferred))
          choice = live(choice, network)
        }
        expect(transportOf(choice).why === undefined).toBe(choice.current === preferred[0])
      }),
      { numRuns: 500 },
    )
  })

  it('an outage alone never leaves anything to remember, even if the browser holds WebSockets back after it', () => {
    const failure = fc.constantFrom<ChoiceEvent>(lost('unreachable'), SILENT)
    fc.assert(
      fc.property(fc.boolean(), fc.array(failure), fc.nat(3), (httpWorks, failures, held) => {
        const start = [OPENED, STABLE, ...(httpWorks ? [ANSWERED] : []), lost('broken', 60_000)]
        let choice = after([...start, ...failures])
        for (let i = 0; i < TRIES; i += 1) {
          choice = live(choice, { websocket: i < held ? 'held' : 'works', sse: 'works', away: false })
          expect(choice.current === 'websocket' || choice.inconclusive).toBe(true)
        }
        expect(transportOf(choice).door).toBe('websocket')
      }),
    )
  })

  it('there is always a transport, and a limited delay until the next probe', () => {
    const event = fc.oneof(
      fc.constant(OPENED),
      fc.constant(STABLE),
      fc.constant(ANSWERED),
      fc.record({
        type: fc.constant('lost' as const),
        kind: fc.constantFrom('unreachable', 'broken', 'stalled', 'refused', 'by-server'),
        openMs: fc.nat(100_000),
      }),
      fc.constant<ChoiceEvent>({ type: 'probed' }),
      fc.constantFrom(...TRANSPORTS).map((better): ChoiceEvent => ({ type: 'probed', better })),
      fc.constantFrom(...TRANSPORTS).map((one): ChoiceEvent => ({ type: 'preferred', order: preferring([one]) })),
    ) as fc.Arbitrary<ChoiceEvent>
    fc.assert(
      fc.property(fc.array(event), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (events, random) => {
        const choice = after(events)
        expect(TRANSPORTS).toContain(choice.current)
        expect(TRANSPORTS).toContain(choice.home)
        const delay = probeDelay(choice, DEFAULT_POLICY, random)
        if (choice.current === choice.order[0]) expect(delay).toBeUndefined()
        else expect(delay).toBeGreaterThanOrEqual(1_000)
        expect(delay ?? 0).toBeLessThanOrEqual(DEFAULT_POLICY.probeMaxMs)
      }),
    )
  })
})
