// The contract of a door, for every transport: what anybody may rely on who begins a run on one and ends it on another. It
// drives real nodes, and knows neither their store nor how many there are: where there are two, every change of doors is a
// change of nodes, too.
import { makeId } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoCount } from '../../test/strict-client.ts'
import { Holder } from '../../test/transports/holder.ts'
import { type Ask, type Door, TransportError } from '../../test/transports/transport.ts'
import { webSocketTransport } from '../../test/transports/websocket-transport.ts'

export interface Nodes {
  /** Their origins; the last is another than the first where there are several. */
  readonly origins: readonly string[]
  close(): Promise<void>
}

/** What a door may be excused from. */
type Fact = 'tells entries' | 'goes on from a cursor' | 'takes a session' | 'takes a key'

/** Which door is excused from what, and why. */
const EXCLUSIONS: Readonly<Record<string, Partial<Record<Fact, string>>>> = {
  'request–response': {
    'tells entries': 'its answer is the whole, when the run is over',
    'goes on from a cursor': 'asked again with its key it answers the whole again: there is nothing to go on from',
  },
  'OpenAI responses': {
    'tells entries': 'its events are those of another protocol',
    'goes on from a cursor': 'it counts its events by itself, and goes on from any number (its own tests)',
    'takes a session': 'a response makes its session, or goes on in that of a response before it',
    'takes a key': 'its keys are its user’s, since the session is not known before',
  },
}

function has(fact: Fact): (door: Door) => boolean {
  return ({ name }) => EXCLUSIONS[name]?.[fact] === undefined
}

/** A short run has this many numbers, each an entry of its own, so slowly do they come. */
const COUNT = 5
const SHORT = `/demo count=${COUNT} rate=60 ttft=0`
/** Its message, its start, its outputs; its end is one more. */
const CUTS = COUNT + 2
const LONG = '/demo count=2000 rate=100 ttft=0'
/** Runs that are tried at once: they mostly wait for the model. */
const AT_ONCE = 6

export function transportContract(name: string, doors: readonly Door[], open: () => Promise<Nodes>): void {
  /** Looks on from outside. */
  const watcher = webSocketTransport('json')
  const cancellers = doors.filter(({ cancel }) => cancel !== undefined)
  const byName = doors.map((door) => [door.name, door] as const)

  describe(`the doors on ${name}`, () => {
    let nodes: Nodes
    const first = (): string => nodes.origins[0] as string
    const other = (): string => nodes.origins.at(-1) as string

    beforeAll(async () => {
      nodes = await open()
    })
    afterAll(() => nodes.close())

    /** A run that is over, as the watcher saw it. */
    async function finishedRun(ask: Ask): Promise<Holder> {
      const holder = new Holder()
      await holder.finish((await watcher.begin(first(), ask)).reading)
      return holder
    }

    /** What the watcher sees of a session that has so many entries, or will have, or whose run is over. */
    async function watch(ask: Ask, entries: number): Promise<Holder> {
      const holder = new Holder()
      const reading = await watcher.resume(first(), ask, '', undefined)
      // Who comes when the run is over has it folded.
      await holder.read(reading, () => holder.entries >= entries || holder.hasEnd)
      reading.stop()
      return holder
    }

    /** The whole of a session, up to a message of its own that comes last. */
    async function readToMarker(session: string): Promise<Holder> {
      const marker = newAsk('/demo count=1 ttft=0', session)
      const { reading } = await watcher.begin(other(), marker)
      const holder = new Holder()
      await holder.read(reading, () => holder.endOf(marker.id) !== undefined)
      reading.stop()
      return holder
    }

    describe.each(byName)('%s', (_, door) => {
      it('gives a run from its message to its end, each index once, and the text byte for byte', async () => {
        const holder = new Holder()
        await holder.finish((await door.begin(first(), newAsk(SHORT))).reading)
        holder.expectText(demoCount(COUNT))
        expect(holder.entries > 0).toBe(has('tells entries')(door))
      })

      if (has('goes on from a cursor')(door)) {
        it('goes on from every cursor of a run that is over', async () => {
          const ask = newAsk(SHORT)
          const known = await finishedRun(ask)
          for (let cut = 1; cut < known.entries; cut += 1) {
            const heir = known.upTo(cut)
            await heir.finish(await door.resume(other(), ask, known.run, heir.cursor))
            heir.expectText(demoCount(COUNT))
          }
        })

        it('tells who comes from another log to begin anew', async () => {
          const ask = newAsk(SHORT)
          const known = await finishedRun(ask)
          const holder = known.upTo(4)
          holder.picture.cursor = 'foreign.4'
          await holder.finish(await door.resume(other(), ask, known.run, 'foreign.4'))
          expect(holder.picture.resets).toBe(1)
          holder.expectText(demoCount(COUNT))
        })
      }

      if (has('takes a key')(door)) {
        it('refuses another message under a key that is taken', async () => {
          const ask = newAsk(SHORT)
          await finishedRun(ask)
          const again = async (): Promise<void> => {
            const { reading } = await door.begin(other(), { ...ask, content: `${SHORT} seed=1` })
            await reading.next()
          }
          await expect(again()).rejects.toEqual(new TransportError('command_id_reused'))
        })
      }
    })

    it('excuses no door that is not there', () => {
      expect(Object.keys(EXCLUSIONS).filter((name) => !doors.some((door) => door.name === name))).toEqual([])
    })

    it.each(byName)('what is begun on %s, and left at any point, is finished on every other', async (_, door) => {
      const cuts = Array.from({ length: CUTS + 1 }, (_, cut) => cut)
      // A door that makes sessions by itself leaves nothing that a key of ours could find.
      const heirs = doors.filter(({ finds }) => finds === 'run' || has('takes a session')(door))
      await each(cuts, AT_ONCE, async (cut) => {
        const begun = await door.begin(first(), newAsk(SHORT))
        const { ask } = begun
        const holder = new Holder()
        const seen = has('tells entries')(door) ? holder : await watch(ask, Math.max(cut, 1))
        if (seen === holder) await holder.read(begun.reading, () => holder.entries >= cut || holder.hasEnd)
        begun.reading.stop()
        const run = seen.entries > 0 ? seen.run : (await watch(ask, 1)).run
        await each(heirs, heirs.length, async (next) => {
          const heir = holder.upTo(cut)
          await heir.finish(await next.resume(other(), ask, run, heir.cursor))
          heir.expectText(demoCount(COUNT))
        })
      })
    })

    it('one key given on two doors at once has one effect', async () => {
      const takers = doors.filter(has('takes a key'))
      const pairs = takers.flatMap((one, at) => takers.slice(at).map((two) => [one, two] as const))
      await each(pairs, AT_ONCE, async ([one, two]) => {
        const ask = newAsk(SHORT)
        const begun = await Promise.all([one.begin(first(), ask), two.begin(other(), ask)])
        for (const { reading } of begun) {
          const holder = new Holder()
          await holder.finish(reading)
          holder.expectText(demoCount(COUNT))
        }
        const { picture } = await readToMarker(ask.session)
        expect([one.name, two.name, picture.runs.size]).toEqual([one.name, two.name, 2])
        expect(picture.faults).toEqual([])
      })
    })

    it.each(cancellers.map((door) => [door.name, door] as const))(
      'a run that is cancelled on %s ends for all at the same token, and nothing comes after it',
      async (_, door) => {
        const ask = newAsk(LONG)
        const { reading } = await watcher.begin(first(), ask)
        const known = new Holder()
        await known.read(reading, () => known.entries > 3)
        const readAll = (): Promise<readonly Holder[]> =>
          Promise.all(
            doors.map(async (reader, at) => {
              const holder = new Holder()
              const node = at % 2 === 0 ? first() : other()
              await holder.finish(await reader.resume(node, ask, known.run, undefined))
              return holder
            }),
          )
        const readers = readAll()
        await known.read(reading, () => known.entries > 10)
        await door.cancel?.(other(), ask.session, known.run)
        const after = await readToMarker(ask.session)
        reading.stop()
        expect(after.picture.faults).toEqual([])
        expect(after.state).toBe('cancelled')
        expect(demoCount(2000).startsWith(after.text)).toBe(true)
        const told = after.told
        for (const holder of [...(await readers), ...(await readAll())]) {
          expect(holder.picture.faults).toEqual([])
          expect({ ...told, next: holder.told.next ?? told.next }).toEqual({ ...holder.told, next: told.next })
        }
      },
    )
  })
}

let asked = 0

function newAsk(content: string, session = makeId('s')): Ask {
  return { session, id: makeId(`ask${asked++}`), content }
}

/** Does it with each, so many at once. */
async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const workers = Array.from({ length: atOnce }, async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
  })
  await Promise.all(workers)
}
