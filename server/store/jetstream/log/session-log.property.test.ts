// The JetStream log compared with a model, over random histories of appends, sweeps, restarts and crashes.
import { afterAll, beforeAll } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import type { SessionLogHarness } from '../../contracts/session-log.contract.ts'
import { sessionLogProperty } from '../../contracts/session-log.property.ts'
import type { Retention, SessionLog } from '../../ports/session-log.ts'
import { JetStreamHarness } from '../../test/jetstream-harness.ts'

let server: NatsServer

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(async () => {
  await server.dispose()
})

/** Appends and follows on one node, and reads on another: acknowledged entries must be readable there. */
async function openTwo(retention: Retention): Promise<SessionLogHarness> {
  const harness = await JetStreamHarness.open(server, { retention, streams: { partitions: 2 } })
  let other = await harness.join()
  const again = (restart: () => Promise<void>) => async (): Promise<void> => {
    await other.close()
    await restart()
    other = await harness.join()
  }
  return {
    get log(): SessionLog {
      const here = harness.log
      const there = other.log
      return {
        epoch: here.epoch,
        append: (...append) => here.append(...append),
        writer: (...subject) => here.writer(...subject),
        follow: (...follow) => here.follow(...follow),
        read: (...read) => there.read(...read),
        head: (session) => there.head(session),
        last: (session, subject) => there.last(session, subject),
        purge: (session, keep) => here.purge(session, keep),
        // Without a grace period, only the appending node may sweep.
        sweep: () => here.sweep(),
      }
    },
    get transcripts() {
      return harness.transcripts
    },
    advance: (ms) => harness.advance(ms),
    maintain: () => harness.maintain(),
    reopen: again(() => harness.reopen()),
    crash: again(() => harness.crash()),
    close: async () => {
      await other.close()
      await harness.close()
    },
  }
}

sessionLogProperty('The JetStream log', (retention) => JetStreamHarness.open(server, { retention }), 20)
sessionLogProperty('The JetStream log of two nodes', openTwo, 8)
