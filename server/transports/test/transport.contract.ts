// The contract of every transport: a run that is started over one transport can be followed or cancelled over any other. It
// runs against real nodes, whatever their store and number: with two nodes, every change of transport is also a change of
// node.
import { makeId } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoCount } from '../../test/strict-client.ts'
import { Receiver } from '../../test/transports/receiver.ts'
import { eventsTransport, sendAsync } from '../../test/transports/stream-transports.ts'
import { type MessageRequest, type TransportDriver, TransportError } from '../../test/transports/transport-driver.ts'
import { webSocketTransport } from '../../test/transports/websocket-transport.ts'

export interface Nodes {
  /** The origins of the nodes; with several nodes, the first and the last differ. */
  readonly origins: readonly string[]
  close(): Promise<void>
}

/** Abilities that a transport may lack. */
type Ability = 'sends entries' | 'resumes from a cursor' | 'accepts a session' | 'accepts a key'

/** The missing abilities of each transport, and the reasons. */
const EXCLUSIONS: Readonly<Record<string, Partial<Record<Ability, string>>>> = {
  'request–response': {
    'sends entries': 'it answers with the complete result at the end of the run',
    'resumes from a cursor': 'a repeated request with the same key gets the complete result again',
  },
  'OpenAI responses': {
    'sends entries': 'its events follow another protocol',
    'resumes from a cursor': 'it numbers its own events and resumes from any number (see its own tests)',
    'accepts a session': 'a response creates its session, or continues the session of an earlier response',
    'accepts a key': 'its keys are scoped to the user, because the session is not known beforehand',
  },
}

function has(ability: Ability): (transport: TransportDriver) => boolean {
  return ({ name }) => EXCLUSIONS[name]?.[ability] === undefined
}

/** Number of outputs of a short run, slow enough that each is its own entry. */
const COUNT = 5
const SHORT = `/demo count=${COUNT} rate=60 ttft=0`
/** The entries of a short run before its end: message, start and outputs. */
const CUTS = COUNT + 2
const LONG = '/demo count=2000 rate=100 ttft=0'
/** Number of concurrent runs in a test: they mostly wait for the model. */
const CONCURRENCY = 6

export function transportContract(
  name: string,
  transports: readonly TransportDriver[],
  open: () => Promise<Nodes>,
): void {
  /** Follows each session independently. */
  const observer = webSocketTransport('json')
  const cancelling = transports.filter(({ cancel }) => cancel !== undefined)
  const byName = transports.map((transport) => [transport.name, transport] as const)

  describe(`transports on ${name}`, () => {
    let nodes: Nodes
    const first = (): string => nodes.origins[0] as string
    const other = (): string => nodes.origins.at(-1) as string

    beforeAll(async () => {
      nodes = await open()
    })
    afterAll(() => nodes.close())

    /** A finished run, as the observer received it. */
    async function finishedRun(message: MessageRequest): Promise<Receiver> {
      const receiver = new Receiver()
      await receiver.finish((await observer.begin(first(), message)).reading)
      return receiver
    }

    /** The observer's view of a session, once it has `entries` entries or its run has ended. */
    async function observe(message: MessageRequest, entries: number): Promise<Receiver> {
      const receiver = new Receiver()
      const reading = await observer.resume(first(), message, '', undefined)
      // A finished run arrives compacted, in fewer entries.
      await receiver.read(reading, () => receiver.entries >= entries || receiver.hasEnd)
      reading.stop()
      return receiver
    }

    /** Reads a complete session, up to a marker message that it appends. */
    async function readToMarker(session: string): Promise<Receiver> {
      const marker = newMessage('/demo count=1 ttft=0', session)
      const { reading } = await observer.begin(other(), marker)
      const receiver = new Receiver()
      await receiver.read(reading, () => receiver.endOf(marker.id) !== undefined)
      reading.stop()
      return receiver
    }

    describe.each(byName)('%s', (_, transport) => {
      it('delivers a run from its message to its end, each index once, with the exact text', async () => {
        const receiver = new Receiver()
        await receiver.finish((await transport.begin(first(), newMessage(SHORT))).reading)
        receiver.expectText(demoCount(COUNT))
        expect(receiver.entries > 0).toBe(has('sends entries')(transport))
      })

      if (has('resumes from a cursor')(transport)) {
        it('resumes from every cursor of a finished run', async () => {
          const message = newMessage(SHORT)
          const known = await finishedRun(message)
          for (let cut = 1; cut < known.entries; cut += 1) {
            const successor = known.upTo(cut)
            await successor.finish(await transport.resume(other(), message, known.run, successor.cursor))
            successor.expectText(demoCount(COUNT))
          }
        })

        it('resets a client with a cursor of another log', async () => {
          const message = newMessage(SHORT)
          const known = await finishedRun(message)
          const receiver = known.upTo(4)
          receiver.picture.cursor = 'foreign.4'
          await receiver.finish(await transport.resume(other(), message, known.run, 'foreign.4'))
          expect(receiver.picture.resets).toBe(1)
          receiver.expectText(demoCount(COUNT))
        })
      }

      if (has('accepts a key')(transport)) {
        it('refuses a different message with a used key', async () => {
          const message = newMessage(SHORT)
          await finishedRun(message)
          const again = async (): Promise<void> => {
            const { reading } = await transport.begin(other(), { ...message, content: `${SHORT} seed=1` })
            await reading.next()
          }
          await expect(again()).rejects.toEqual(new TransportError('command_id_reused'))
        })
      }
    })

    it('has exclusions only for existing transports', () => {
      expect(
        Object.keys(EXCLUSIONS).filter((name) => !transports.some((transport) => transport.name === name)),
      ).toEqual([])
    })

    it.each(byName)(
      'a run started over %s and left at any point can be finished over every other transport',
      async (_, transport) => {
        const cuts = Array.from({ length: CUTS + 1 }, (_, cut) => cut)
        // A transport that creates sessions itself leaves no key for transports that find a run by its key.
        const successors = transports.filter(({ finds }) => finds === 'run' || has('accepts a session')(transport))
        await forEach(cuts, CONCURRENCY, async (cut) => {
          const begun = await transport.begin(first(), newMessage(SHORT))
          const { message } = begun
          const receiver = new Receiver()
          const seen = has('sends entries')(transport) ? receiver : await observe(message, Math.max(cut, 1))
          if (seen === receiver) await receiver.read(begun.reading, () => receiver.entries >= cut || receiver.hasEnd)
          begun.reading.stop()
          const run = seen.entries > 0 ? seen.run : (await observe(message, 1)).run
          await forEach(successors, successors.length, async (next) => {
            const successor = receiver.upTo(cut)
            await successor.finish(await next.resume(other(), message, run, successor.cursor))
            successor.expectText(demoCount(COUNT))
          })
        })
      },
    )

    it('a key used concurrently over two transports has one effect', async () => {
      const keyed = transports.filter(has('accepts a key'))
      const pairs = keyed.flatMap((one, at) => keyed.slice(at).map((two) => [one, two] as const))
      await forEach(pairs, CONCURRENCY, async ([one, two]) => {
        const message = newMessage(SHORT)
        const begun = await Promise.all([one.begin(first(), message), two.begin(other(), message)])
        for (const { reading } of begun) {
          const receiver = new Receiver()
          await receiver.finish(reading)
          receiver.expectText(demoCount(COUNT))
        }
        const { picture } = await readToMarker(message.session)
        expect([one.name, two.name, picture.runs.size]).toEqual([one.name, two.name, 2])
        expect(picture.faults).toEqual([])
      })
    })

    it.each(['sse', 'ndjson'] as const)(
      'a run with its child runs is read over %s, from every cursor, with the exact text of each, and ends with the run',
      async (form) => {
        const transport = eventsTransport(form, true, true)
        const asks = [4, 2].map((count) => `ask=helper message={/demo count=${count} rate=60 ttft=0}`)
        const message = { ...newMessage(`/demo ${asks.join(' ')} count=3 rate=0 ttft=0`), agent: 'lead' }
        const { run } = await sendAsync(first(), message)
        const live = new Receiver()
        await live.finish(await transport.resume(first(), message, run, undefined))
        const texts = textsOf(live)
        expect([...texts.values()].sort()).toEqual([demoCount(4), demoCount(2), texts.get(run)].sort())
        expect(texts.get(run)).toMatch(/"0 1 2 3"\n+"0 1"\n+0 1 2$/)
        const cuts = Array.from({ length: live.entries }, (_, cut) => cut)
        await forEach(cuts, CONCURRENCY, async (cut) => {
          const successor = live.upTo(cut)
          await successor.finish(await transport.resume(other(), message, run, successor.cursor))
          expect(textsOf(successor)).toEqual(texts)
          expect(successor.picture.events.at(-1)).toMatchObject({ type: 'run.ended', run })
        })
      },
    )

    it.each(cancelling.map((transport) => [transport.name, transport] as const))(
      'a run cancelled over %s ends at the same token for all readers, without later output',
      async (_, transport) => {
        const message = newMessage(LONG)
        const { reading } = await observer.begin(first(), message)
        const known = new Receiver()
        await known.read(reading, () => known.entries > 3)
        const readAll = (): Promise<readonly Receiver[]> =>
          Promise.all(
            transports.map(async (reader, at) => {
              const receiver = new Receiver()
              const node = at % 2 === 0 ? first() : other()
              await receiver.finish(await reader.resume(node, message, known.run, undefined))
              return receiver
            }),
          )
        const readers = readAll()
        await known.read(reading, () => known.entries > 10)
        await transport.cancel?.(other(), message.session, known.run)
        const after = await readToMarker(message.session)
        reading.stop()
        expect(after.picture.faults).toEqual([])
        expect(after.state).toBe('cancelled')
        expect(demoCount(2000).startsWith(after.text)).toBe(true)
        const outcome = after.outcome
        for (const receiver of [...(await readers), ...(await readAll())]) {
          expect(receiver.picture.faults).toEqual([])
          expect({ ...outcome, next: receiver.outcome.next ?? outcome.next }).toEqual({
            ...receiver.outcome,
            next: outcome.next,
          })
        }
      },
    )
  })
}

/** The texts of all runs, which have completed. */
function textsOf({ picture }: Receiver): ReadonlyMap<string, string> {
  expect(picture.faults).toEqual([])
  expect([...picture.runs.values()].map(({ ended }) => ended?.reason)).toEqual(['completed', 'completed', 'completed'])
  return new Map([...picture.runs].map(([run, { text }]) => [run, text]))
}

let messageCount = 0

function newMessage(content: string, session = makeId('s')): MessageRequest {
  return { session, id: makeId(`m${messageCount++}`), content }
}

/** Runs `work` for each item with limited concurrency. */
async function forEach<T>(items: readonly T[], concurrency: number, work: (item: T) => Promise<void>): Promise<void> {
  const remaining = [...items]
  const workers = Array.from({ length: concurrency }, async () => {
    for (let item = remaining.shift(); item !== undefined; item = remaining.shift()) await work(item)
  })
  await Promise.all(workers)
}
