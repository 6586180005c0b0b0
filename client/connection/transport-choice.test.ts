// The choice of a door: each rule by itself, and any network: the client ends at the best door that works there.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DEFAULT_DOORS, DOORS, type Door, SOON_MS } from '../transport/door.ts'
import type { LossKind } from '../transport/transport.ts'
import {
  type ChoiceEvent,
  newChoice,
  nextChoice,
  preferring,
  probeDelay,
  type TransportChoice,
  transportOf,
} from './transport-choice.ts'

const OPENED: ChoiceEvent = { type: 'opened' }
const HELD: ChoiceEvent = { type: 'held' }

function lost(kind: LossKind, heldMs = 0): ChoiceEvent {
  return { type: 'lost', kind, heldMs }
}

function after(events: readonly ChoiceEvent[], from = newChoice(DOORS)): TransportChoice {
  return events.reduce(nextChoice, from)
}

describe('the choice of a door', () => {
  it('begins with a WebSocket', () => {
    expect(transportOf(newChoice(DOORS))).toEqual({ door: 'websocket', moves: 0 })
  })

  it('takes server-sent events where a WebSocket does not open', () => {
    expect(transportOf(after([lost('unreached'), OPENED]))).toEqual({ door: 'sse', why: 'blocked', moves: 0 })
  })

  it('takes long polls where something keeps what a stream brings', () => {
    const choice = after([lost('unreached'), OPENED, lost('stalled'), OPENED])
    expect(transportOf(choice)).toEqual({ door: 'long-poll', why: 'buffered', moves: 1 })
    expect(choice.left).toEqual({ websocket: 'blocked', sse: 'buffered' })
  })

  it('leaves a door that breaks soon three times in a row, and not one that held in between', () => {
    const broken = lost('broken', SOON_MS - 1)
    expect(transportOf(after([OPENED, broken, OPENED, broken])).door).toBe('websocket')
    expect(transportOf(after([OPENED, broken, OPENED, broken, OPENED, broken]))).toMatchObject({
      door: 'sse',
      why: 'unstable',
    })
    const held = [OPENED, broken, OPENED, broken, OPENED, HELD, lost('broken', SOON_MS), OPENED, broken]
    expect(after(held).door).toBe('websocket')
  })

  it('stays where it is when the server said so itself', () => {
    for (const at of [newChoice(DOORS), after([lost('unreached'), OPENED])]) {
      expect(after([lost('told'), lost('told'), lost('told'), lost('told')], at).door).toBe(at.door)
    }
  })

  it('takes no door for blocked while plain HTTP does not get through either', () => {
    const away = after([OPENED, HELD, lost('broken', 60_000), lost('unreached'), lost('unreached'), lost('unreached')])
    expect(away.door).toBe('sse')
    expect(transportOf(after([lost('unreached'), OPENED], away))).toEqual({ door: 'websocket', moves: 0 })
  })

  it('begins again at the door that was open last, past the doors that did not work', () => {
    const polls = after([lost('unreached'), OPENED, lost('stalled'), OPENED, lost('broken', 60_000)])
    expect(polls.door).toBe('long-poll')
    let choice = polls
    const doors = Array.from({ length: 4 }, () => {
      choice = nextChoice(choice, lost('unreached'))
      return choice.door
    })
    expect(doors).toEqual(['websocket', 'long-poll', 'websocket', 'long-poll'])
  })

  it('goes up when a better door has held, and comes down again when it fails', () => {
    const up = after([lost('unreached'), OPENED, { type: 'probed', door: 'websocket' }, OPENED])
    expect(transportOf(up)).toEqual({ door: 'websocket', moves: 1 })
    const soon = [lost('broken', 10), OPENED]
    expect(after([...soon, ...soon, lost('broken', 10)], up).door).toBe('sse')
  })

  it('takes up no door that is worse than the one it has', () => {
    expect(after([OPENED, { type: 'probed', door: 'sse' }]).door).toBe('websocket')
  })

  it('never leaves the only door', () => {
    const only = newChoice(['sse'])
    for (const kind of ['unreached', 'broken', 'stalled', 'refused', 'told'] as const) {
      const choice = after([lost(kind), OPENED, lost(kind), OPENED, lost(kind), lost(kind)], only)
      expect(transportOf(choice)).toEqual({ door: 'sse', moves: 0 })
      expect(probeDelay(choice, DEFAULT_DOORS, 0.5)).toBeUndefined()
    }
  })

  it('begins with what worked the last time, and says so', () => {
    expect(transportOf(newChoice(DOORS, 'sse'))).toEqual({ door: 'sse', why: 'remembered', moves: 0 })
    expect(newChoice(['websocket'], 'sse').door).toBe('websocket')
  })

  it('looks up after a while that doubles, with chance in it, up to a bound', () => {
    let choice = after([lost('unreached'), OPENED])
    const delays = Array.from({ length: 8 }, () => {
      const delay = probeDelay(choice, DEFAULT_DOORS, 0.999_999)
      choice = after([{ type: 'probed' }], choice)
      return delay
    })
    expect(delays).toEqual([30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000])
    expect(probeDelay(after([lost('unreached'), OPENED]), DEFAULT_DOORS, 0)).toBe(15_000)
  })

  it('looks up sooner where the better door had held before, and less and less often while it flaps', () => {
    const fallen = [lost('broken', 10), OPENED, lost('broken', 10), OPENED, lost('broken', 10), OPENED]
    let choice = after([OPENED, HELD, ...fallen])
    const delays = Array.from({ length: 4 }, () => {
      const delay = probeDelay(choice, DEFAULT_DOORS, 0.999_999)
      choice = after([{ type: 'probed', door: 'websocket' }, OPENED, HELD, ...fallen], choice)
      return delay
    })
    expect(delays).toEqual([2_000, 4_000, 8_000, 16_000])
    const good = after([{ type: 'probed', door: 'websocket' }, OPENED, HELD, lost('broken', 60_000)], choice)
    expect(probeDelay(after([lost('unreached'), OPENED], good), DEFAULT_DOORS, 0.999_999)).toBe(2_000)
  })
})

describe('an order that the server prefers', () => {
  const told = (...names: string[]): ChoiceEvent => ({ type: 'preferred', order: preferring(names) })

  it('names some doors, and the others come after', () => {
    expect(preferring()).toEqual(DOORS)
    expect(preferring(['poll'])).toEqual(['long-poll', 'websocket', 'sse'])
    expect(preferring(['sse', 'telegraph', 'sse'])).toEqual(['sse', 'websocket', 'long-poll'])
  })

  it('moves the client before it has come in anywhere, and that counts as no move', () => {
    const choice = after([told('sse'), OPENED])
    expect(transportOf(choice)).toEqual({ door: 'sse', moves: 0 })
    expect(probeDelay(choice, DEFAULT_DOORS, 0.5)).toBeUndefined()
  })

  it('leads to no door that was left: to the best of the others', () => {
    const blocked = [lost('unreached'), told('websocket', 'poll'), OPENED]
    expect(transportOf(after(blocked))).toEqual({ door: 'long-poll', why: 'blocked', moves: 0 })
    const known = newChoice(DOORS, 'long-poll')
    expect(transportOf(after([told('sse')], known))).toEqual({ door: 'long-poll', why: 'remembered', moves: 0 })
  })

  it('is gone by when a door of it is blocked, and says so', () => {
    const choice = after([told('sse'), OPENED, lost('refused'), OPENED])
    expect(transportOf(choice)).toEqual({ door: 'websocket', why: 'blocked', moves: 1 })
  })

  it('leads past plain HTTP where only a WebSocket gets through', () => {
    const choice = after([told('sse', 'poll'), lost('unreached'), OPENED, told('sse', 'poll')])
    expect(transportOf(choice)).toEqual({ door: 'websocket', why: 'blocked', moves: 0 })
    expect(choice.left).toEqual({ sse: 'blocked', 'long-poll': 'blocked' })
  })

  it('that each node tells otherwise moves nobody to and fro', () => {
    let choice = after([told('sse')])
    for (let turn = 0; turn < 5; turn += 1) choice = after([told(), OPENED, lost('broken', 10), told('poll')], choice)
    expect(choice.doors[0]).toBe('sse')
    expect(after([told(), OPENED, HELD, lost('broken', 60_000), told()], choice).door).toBe('websocket')
  })

  it('is nothing to whoever chose a door', () => {
    expect(after([told('sse'), OPENED], newChoice(['websocket'])).door).toBe('websocket')
  })
})

/** A network as it may be: which doors work, and how those that do not fail. */
const Weather = fc.record({
  websocket: fc.constantFrom('works', 'unreached', 'broken'),
  sse: fc.constantFrom('works', 'stalled', 'refused', 'broken'),
  away: fc.boolean(),
})
type Weather = typeof Weather extends fc.Arbitrary<infer T> ? T : never

/** One try of the door that is chosen, in this weather; with a probe, when it works. */
function live(choice: TransportChoice, weather: Weather): TransportChoice {
  const { door } = choice
  if (weather.away) return nextChoice(choice, lost('unreached'))
  const fate = door === 'long-poll' ? 'works' : weather[door]
  if (fate === 'unreached') return nextChoice(choice, lost('unreached'))
  const open = nextChoice(choice, OPENED)
  if (fate !== 'works') return nextChoice(open, lost(fate, 10))
  const held = nextChoice(open, HELD)
  const better = best(weather, choice.doors)
  return choice.doors.indexOf(better) < choice.doors.indexOf(door)
    ? after([{ type: 'probed', door: better }, OPENED, HELD], held)
    : nextChoice(held, lost('broken', 60_000))
}

function best(weather: Weather, order: readonly Door[]): Door {
  return order.find((door) => door === 'long-poll' || weather[door] === 'works') ?? 'long-poll'
}

/** More tries than any way through the doors takes. */
const TRIES = 24

describe('in any network', () => {
  it('the client comes to the best door that works there, in any order, and stays, whatever was before', () => {
    const past = fc.array(fc.tuple(Weather, fc.nat(5)), { maxLength: 6 })
    const remembered = fc.option(fc.constantFrom(...DOORS), { nil: undefined })
    const order = fc
      .constantFrom(...DOORS)
      .chain((one) => fc.constantFrom(...DOORS).map((two) => preferring([one, two])))
    fc.assert(
      fc.property(past, Weather, remembered, order, order, (before, last, known, first, told) => {
        let choice = nextChoice(newChoice(first, known), { type: 'preferred', order: told })
        for (const [weather, tries] of before) for (let i = 0; i < tries; i += 1) choice = live(choice, weather)
        const weather = { ...last, away: false }
        for (let i = 0; i < TRIES; i += 1) choice = live(choice, weather)
        for (let i = 0; i < 3; i += 1) {
          expect(choice.door).toBe(best(weather, told))
          choice = live(choice, weather)
        }
        expect(transportOf(choice).why === undefined).toBe(choice.door === told[0])
      }),
      { numRuns: 500 },
    )
  })

  it('whatever happens, there is a door, and a bounded time until the next look up', () => {
    const event = fc.oneof(
      fc.constant(OPENED),
      fc.constant(HELD),
      fc.record({
        type: fc.constant('lost' as const),
        kind: fc.constantFrom('unreached', 'broken', 'stalled', 'refused', 'told'),
        heldMs: fc.nat(100_000),
      }),
      fc.constant<ChoiceEvent>({ type: 'probed' }),
      fc.constantFrom(...DOORS).map((door): ChoiceEvent => ({ type: 'probed', door })),
      fc.constantFrom(...DOORS).map((door): ChoiceEvent => ({ type: 'preferred', order: preferring([door]) })),
    ) as fc.Arbitrary<ChoiceEvent>
    fc.assert(
      fc.property(fc.array(event), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (events, random) => {
        const choice = after(events)
        expect(DOORS).toContain(choice.door)
        expect(DOORS).toContain(choice.home)
        const delay = probeDelay(choice, DEFAULT_DOORS, random)
        if (choice.door === choice.doors[0]) expect(delay).toBeUndefined()
        else expect(delay).toBeGreaterThanOrEqual(1_000)
        expect(delay ?? 0).toBeLessThanOrEqual(DEFAULT_DOORS.probeMaxMs)
      }),
    )
  })
})
