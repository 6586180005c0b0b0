// A node with the embedded log and a relay: the node is killed within its answers, and started again.
import { afterEach, expect, it } from 'vitest'
import { RelayedRuns } from './relayed-runs.ts'

let runs: RelayedRuns | undefined
afterEach(() => runs?.dispose())

it('continues every answer after kill -9, and asks the provider once', async () => {
  runs = await RelayedRuns.start(1, {}, 25)
  const [node] = runs.nodes
  for (let number = 0; number < 6; number += 1) await runs.begin(`r${number}`)
  for (let kills = 0; kills < 2; kills += 1) {
    const before = runs.provider.tokens
    await expect.poll(() => (runs as RelayedRuns).provider.tokens, { interval: 5 }).toBeGreaterThan(before + 30)
    await node?.kill()
    await node?.start()
  }
  await runs.finished()
  await runs.expectWhole()
  expect(await runs.resumed()).toBeGreaterThan(0)
})
