// The simulation: what follows from the placement alone, and what grows with the square of the nodes.
import { expect, it } from 'vitest'
import { type Load, type Needs, simulate } from './simulation.ts'
import { UNIT_COSTS } from './unit-costs.ts'

const LOAD: Load = {
  nodes: 1,
  replicas: 1,
  sessions: 2_000,
  runs: 250,
  outputsPerSecond: 20,
  runSeconds: 30,
  stay: 600,
  keptSubjects: 1_000,
  hasQuota: true,
}

/** Random numbers that are spread evenly. */
function spread(): () => number {
  let next = 0
  return () => {
    next = (next + 0.618_033_988_749_895) % 1
    return next
  }
}

const needsOf = (load: Partial<Load>): Needs => simulate({ ...LOAD, ...load }, UNIT_COSTS, spread())

it('one node follows a session once, and one stream is enough', () => {
  const { subscriptions, partitions, busiestStream, outputs, nodeOutputs, busiestNode } = needsOf({})
  expect({ subscriptions, partitions }).toEqual({ subscriptions: 2_000, partitions: 1 })
  expect(busiestStream).toBeCloseTo(outputs)
  expect(busiestNode).toBeCloseTo(nodeOutputs)
})

it('spreads the outputs over as many streams as the busiest one needs', () => {
  const { partitions, busiestStream, outputs } = needsOf({ nodes: 100 })
  const most = UNIT_COSTS.streamPerSecond[1] / 2
  expect(busiestStream).toBeLessThanOrEqual(most)
  expect(busiestStream).toBeGreaterThan(outputs / partitions)
  // With half as many, the busiest one would have more than its part.
  expect((2 * outputs) / partitions).toBeGreaterThan(most * 0.7)
})

it('messages to all nodes grow with the nodes for each of them, and with their square for NATS', () => {
  const [ten, hundred] = [needsOf({ nodes: 10 }), needsOf({ nodes: 100 })]
  expect(hundred.nodeNews / ten.nodeNews).toBeCloseTo(10)
  expect(hundred.natsNews / ten.natsNews).toBeCloseTo(100)
  expect(hundred.natsOutputs / ten.natsOutputs).toBeGreaterThan(9)
  expect(hundred.natsOutputs / ten.natsOutputs).toBeLessThan(11)
  expect(needsOf({ nodes: 10, hasQuota: false }).nodeNews).toBeLessThan(ten.nodeNews)
})
