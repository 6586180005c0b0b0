// The JetStream usage ledger: the contract of one, and what other nodes hear of it; notices of runs, which they hear as well.
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

it('tells other nodes what was put', async () => {
  const harness = await JetStreamHarness.open(server)
  const other = await harness.join()
  const told = new Promise<Tally>((resolve) => other.usage.follow({ told: resolve, missed: () => undefined }))
  // Its subscription has reached the server once an answer has.
  await other.log.last('nobody', 'nothing')
  const tally = { account: 'u-ann', windowMs: 1_000, index: 3, writer: 'n1', total: 5 }
  await harness.stores.usage.put([tally])
  expect(await told).toEqual(tally)
  await other.close()
  await harness.close()
})

it('tells other nodes of runs, in as many messages as it takes', async () => {
  const harness = await JetStreamHarness.open(server)
  const other = await harness.join()
  const runs = Array.from({ length: 2_500 }, (_, i) => ['ann', `r${i}`] as const)
  const heard: RunNotice[] = []
  const all = new Promise<void>((resolve) => {
    other.runNotices.onTold((notice) => {
      heard.push(notice)
      if (heard.length === 3) resolve()
    })
  })
  // As above.
  await other.log.last('nobody', 'nothing')
  harness.stores.runNotices.tell({ on: runs, off: [['bob', 'r']] })
  await all
  expect(heard.flatMap(({ on }) => on)).toEqual(runs)
  expect(heard.flatMap(({ off }) => off)).toEqual([['bob', 'r']])
  await other.close()
  await harness.close()
})
