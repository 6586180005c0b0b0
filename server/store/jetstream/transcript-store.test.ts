// JetStreamTranscriptStore: the contract of every store, and saves that fail, are large, or race between nodes.
import { randomBytes } from 'node:crypto'
import { jetstreamManager } from '@nats-io/jetstream'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { type TranscriptStoreHarness, transcriptStoreContract } from '../contracts/transcript-store.contract.ts'
import { Conflict } from '../ports/errors.ts'
import type { CompactedEntry, Transcript } from '../ports/transcript-store.ts'
import { JetStreamConnection } from './connection.ts'
import { openStreams, type Streams } from './streams.ts'
import { JetStreamTranscriptStore } from './transcript-store.ts'

const logger = pino({ enabled: false })
let server: NatsServer
const nodes: Node[] = []

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(() => server.dispose())
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close()
})

interface Node {
  readonly connection: JetStreamConnection
  readonly streams: Streams
  readonly transcripts: JetStreamTranscriptStore
  close(): Promise<void>
}

async function openNode(prefix: string): Promise<Node> {
  const connection = await JetStreamConnection.open({ servers: [server.url], logger })
  const streams = await openStreams(connection, { prefix })
  const transcripts = new JetStreamTranscriptStore({ connection, streams, logger })
  const close = async (): Promise<void> => {
    await transcripts.close()
    await connection.close()
  }
  const node = { connection, streams, transcripts, close }
  nodes.push(node)
  return node
}

const freshPrefix = (): string => `t${randomBytes(6).toString('hex')}`

async function open(): Promise<TranscriptStoreHarness> {
  const prefix = freshPrefix()
  let node = await openNode(prefix)
  return {
    get transcripts() {
      return node.transcripts
    },
    async reopen() {
      await node.close()
      node = await openNode(prefix)
    },
    async crash() {
      await node.connection.nats.close()
      await server.restart('SIGKILL')
      node = await openNode(prefix)
    },
    close: () => node.close(),
  }
}

transcriptStoreContract('JetStreamTranscriptStore', open)

const entry = (seq: number, text = ''): CompactedEntry => ({
  seq,
  time: 1_700_000_000_000,
  json: JSON.stringify({ text }),
})
const transcript = (fields: Partial<Transcript> = {}): Omit<Transcript, 'revision'> => ({
  cursor: 'epoch.7',
  sealed: 0,
  entries: [entry(7)],
  commands: [],
  ...fields,
})

/** The subjects of all messages of a session's transcript except its head. */
async function partsOf({ connection, streams }: Node, session: string): Promise<string[]> {
  const manager = await jetstreamManager(connection.nats)
  const filter = `${streams.prefix}.transcript.${session}.>`
  const { state } = await manager.streams.info(streams.transcripts, { subjects_filter: filter })
  return Object.keys(state.subjects ?? {})
}

/** For changes without an event to wait for. The timeout allows for a slow machine. */
const WAIT = { timeout: 20_000, interval: 20 }

describe('transcripts on several nodes', () => {
  it('have one winner of a race; only the winner’s segments remain', async () => {
    const prefix = freshPrefix()
    const all = await Promise.all([openNode(prefix), openNode(prefix), openNode(prefix)])
    const results = await Promise.allSettled(
      all.map(({ transcripts }, i) => transcripts.save('s', transcript({ sealed: 1 }), 0, [[entry(1, `by ${i}`)]])),
    )
    const winner = results.findIndex(({ status }) => status === 'fulfilled')
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toEqual(new Conflict(1))
    for (const { transcripts } of all) {
      expect(await transcripts.segment('s', 0)).toEqual([entry(1, `by ${winner}`)])
    }
    await expect.poll(() => partsOf(all[0] as Node, 's'), WAIT).toHaveLength(1)
  })

  it('are saved after another node’s save, although this node has cached an older revision', async () => {
    const prefix = freshPrefix()
    const [one, two] = [await openNode(prefix), await openNode(prefix)]
    await one.transcripts.save('s', transcript({ sealed: 1 }), 0, [[entry(1)]])
    await two.transcripts.save('s', transcript({ sealed: 2 }), 1, [[entry(2)]])
    await expect(one.transcripts.save('s', transcript(), 1)).rejects.toEqual(new Conflict(2))
    await one.transcripts.save('s', transcript({ sealed: 3 }), 2, [[entry(3)]])
    for (const { transcripts } of [one, two]) {
      const segments = await Promise.all([0, 1, 2, 3].map((number) => transcripts.segment('s', number)))
      expect(segments).toEqual([[entry(1)], [entry(2)], [entry(3)], undefined])
    }
  })

  it('cover a session only in their own epoch', async () => {
    const { transcripts } = await openNode(freshPrefix())
    expect(await transcripts.covered('s', 'epoch')).toBe(0)
    await transcripts.save('s', transcript(), 0)
    expect([await transcripts.covered('s', 'epoch'), await transcripts.covered('s', 'another')]).toEqual([7, 0])
  })
})

describe('a transcript larger than a message of NATS', () => {
  const large = (mark: string) => [entry(1, `${mark}${'漢😀'.repeat(400_000)}`), entry(2, 'x'.repeat(1_500_000))]

  it('is stored in parts, which are removed when it is replaced', async () => {
    const node = await openNode(freshPrefix())
    await node.transcripts.save('s', transcript({ entries: large('a') }), 0)
    expect(await node.transcripts.load('s')).toEqual({ ...transcript({ entries: large('a') }), revision: 1 })
    expect((await partsOf(node, 's')).length).toBeGreaterThan(4)
    await node.transcripts.save('s', transcript(), 1)
    expect(await node.transcripts.load('s')).toEqual({ ...transcript(), revision: 2 })
    await expect.poll(() => partsOf(node, 's'), WAIT).toHaveLength(0)
  })

  it('stores segments in parts', async () => {
    const node = await openNode(freshPrefix())
    await node.transcripts.save('s', transcript({ sealed: 1 }), 0, [large('b')])
    expect(await node.transcripts.segment('s', 0)).toEqual(large('b'))
  })

  it('is read completely, old or new, while it is replaced repeatedly', async () => {
    const prefix = freshPrefix()
    const [writer, reader] = [await openNode(prefix), await openNode(prefix)]
    await writer.transcripts.save('s', transcript({ entries: large('0') }), 0)
    let writing = true
    const writes = (async () => {
      for (let i = 1; i <= 5; i++) await writer.transcripts.save('s', transcript({ entries: large(`${i}`) }), i)
      writing = false
    })()
    let last = 0
    while (writing) {
      const found = await reader.transcripts.load('s')
      expect(found?.entries).toEqual(large(`${(found?.revision ?? 0) - 1}`))
      expect(found?.revision).toBeGreaterThanOrEqual(last)
      last = found?.revision ?? 0
    }
    await writes
  })
})
