// The JetStream usage ledger: its contract, and tallies that other nodes receive. Also notices of runs between nodes.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { usageLedgerContract } from '../contracts/usage-ledger.contract.ts'
import type { RunNotice } from '../ports/run-notices.ts'
import type { Tally } from '../ports/usage-ledger.ts'
import { JetStreamHarness } from '../test/jetstream-harness.ts'

let server: NatsServer

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(async () => {
  await server.dispose()
})

usageLedgerContract('JetStream', () => JetStreamHarness.open(server))

it('publishes tallies to other nodes', async () => {
  const harness = await JetStreamHarness.open(server)
  const other = await harness.join()
  const received = new Promise<Tally>((resolve) => other.usage.follow({ updated: resolve, missed: () => undefined }))
  // After this answer, the server has the subscription of `other`.
  await other.log.last('nobody', 'nothing')
  const tally = { account: 'u-ann', windowMs: 1_000, index: 3, writer: 'n1', total: 5 }
  await harness.stores.usage.put([tally])
  expect(await received).toEqual(tally)
  await other.close()
  await harness.close()
})

it('publishes notices of runs to other nodes, in as many messages as necessary', async () => {
  const harness = await JetStreamHarness.open(server)
  const other = await harness.join()
  const runs = Array.from({ length: 2_500 }, (_, i) => ['ann', `r${i}`] as const)
  const received: RunNotice[] = []
  const all = new Promise<void>((resolve) => {
    other.runNotices.onNotified((notice) => {
      received.push(notice)
      if (received.length === 3) resolve()
    })
  })
  // As above: the server now has the subscription.
  await other.log.last('nobody', 'nothing')
  harness.stores.runNotices.notify({ on: runs, off: [['bob', 'r']] })
  await all
  expect(received.flatMap(({ on }) => on)).toEqual(runs)
  expect(received.flatMap(({ off }) => off)).toEqual([['bob', 'r']])
  await other.close()
  await harness.close()
})
