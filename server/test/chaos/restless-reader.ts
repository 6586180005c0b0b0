// RestlessReader: somebody at a session who does whatever may happen: sends, interrupts, steers, cancels, repeats
// commands, runs tools, falls asleep, leaves, and comes back where he was. What he sees and is told goes into the
// session's history.
import { type CodecName, makeId, type ServerFrame } from '@parley/protocol'
import { CommandError, type SessionPicture, StrictClient } from '../strict-client.ts'
import type { CommandSent, HistoryRecord } from './history.ts'

type Frame = CommandSent & Record<string, unknown>

/** What the readers of one session share. */
export interface Room {
  /** Of every node: a reader comes back to any of them. */
  readonly urls: readonly string[]
  readonly session: string
  readonly records: HistoryRecord[]
  readonly sent: Frame[]
  readonly faults: string[]
  /** Those who are there: a command is sometimes sent by two of them at once. */
  readonly readers: RestlessReader[]
}

export function emptyRoom(session: string, urls: readonly string[]): Room {
  return { urls, session, records: [], sent: [], faults: [], readers: [] }
}

export interface Habits {
  readonly name: string
  readonly codec: CodecName
  readonly merge: boolean
  readonly random: () => number
  /** Milliseconds from one thing to the next, on average. */
  readonly paceMs?: number
  /** What he asks the demo model for. */
  readonly directive?: (random: () => number) => string
  /** Milliseconds after which a command that has no answer, on a connection that stands, is a fault. */
  readonly answerMs?: number
  /** Milliseconds after which a node that does not welcome him is left for another. */
  readonly welcomeMs?: number
}

const TOOLS = [{ name: 'work', description: 'Does some work.', inputSchema: { type: 'object' }, timeoutMs: 3_000 }]
const ANSWER_MS = 20_000
const PACE_MS = 125
const LOOK_MS = 500
const RETRY_MS = 100
/** How often a command is sent by two at once. */
const ECHO = 0.1

let connections = 0

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export class RestlessReader {
  readonly #room: Room
  readonly #habits: Habits
  #client: StrictClient
  #connection = 0
  /** Called after every frame. */
  #changed: () => void = () => undefined
  #attached = false
  #pictured: SessionPicture
  /** While false, tools are run at once and without fail. */
  #wild = true
  readonly #work = new Set<Promise<void>>()
  /** Ids of commands that wait for their answers. */
  readonly #asked = new Set<string>()

  constructor(room: Room, habits: Habits) {
    this.#room = room
    this.#habits = habits
    room.readers.push(this)
    this.#client = new StrictClient('', habits)
    this.#pictured = this.#client.session(room.session)
  }

  get name(): string {
    return this.#habits.name
  }

  get picture(): SessionPicture {
    return this.#pictured
  }

  /** Does as he likes until it is over. */
  async live(over: () => boolean): Promise<void> {
    while (!over()) {
      if (!(await this.#here())) {
        await pause(50 + this.#habits.random() * 100)
        continue
      }
      await this.#act()
      await pause(this.#habits.random() * 2 * (this.#habits.paceMs ?? PACE_MS))
    }
  }

  /** From now on he only reads, and runs tools as he should. */
  async settle(): Promise<void> {
    this.#wild = false
    await Promise.allSettled([...this.#work])
    this.#client.resume()
    for (let attempt = 0; attempt < 100; attempt += 1) {
      if (await this.#here()) return
      await pause(RETRY_MS)
    }
    this.#room.faults.push(`${this.name} could not come back`)
  }

  leave(): void {
    this.#client.drop()
  }

  /** Resolves when the picture satisfies the condition; with false when it took too long. Comes back when he is cut off. */
  async sees(fits: (picture: SessionPicture) => boolean, ms: number): Promise<boolean> {
    const until = performance.now() + ms
    while (!fits(this.#pictured)) {
      if (performance.now() > until) return false
      const changed = new Promise<void>((resolve) => {
        this.#changed = resolve
      })
      if (this.#client.open || (await this.#here())) await Promise.race([changed, pause(LOOK_MS)])
      else await pause(RETRY_MS)
    }
    return true
  }

  async #here(): Promise<boolean> {
    try {
      if (!this.#client.open) await this.#connect()
      if (!this.#attached) await this.#attach()
      return true
    } catch (error) {
      if (error instanceof CommandError) this.#judge('attach', error)
      this.#client.drop()
      return false
    }
  }

  async #connect(): Promise<void> {
    const { urls, session, records } = this.#room
    const client = new StrictClient(pick(this.#habits.random, urls), this.#habits)
    // The picture outlives the connection.
    client.sessions.set(session, this.#pictured)
    const connection = ++connections
    const { name: reader, answerMs = ANSWER_MS, welcomeMs = answerMs } = this.#habits
    client.onFrame((frame) => {
      if (frame.type === 'attached') {
        const { node = '' } = client.welcome ?? {}
        records.push({ kind: 'attached', reader, connection, reset: frame.reset === true, node })
      }
      if (frame.type === 'live') records.push({ kind: 'live', reader, connection, seq: seqOf(frame.cursor) })
      if (frame.type === 'entry') {
        const { time, event, cursor } = frame
        records.push({ kind: 'entry', reader, connection, seq: seqOf(cursor), time, event })
        this.#considerTool(client, frame)
      }
      if (frame.type === 'ok') this.#acknowledged(frame, connection)
      this.#changed()
    })
    this.#client.drop()
    this.#client = client
    this.#connection = connection
    this.#attached = false
    await within(client.connect(), welcomeMs, 'no welcome')
  }

  async #attach(): Promise<void> {
    const tools = !this.#wild || this.#habits.random() < 0.6 ? { tools: TOOLS } : {}
    await this.#answered(this.#client.attach(this.#room.session, tools), 'attach')
    this.#attached = true
  }

  async #act(): Promise<void> {
    const { random } = this.#habits
    const dice = random()
    if (dice < 0.45) await this.#command(this.#message())
    else if (dice < 0.6) await this.#command(this.#cancel())
    else if (dice < 0.7) await this.#repeat()
    else if (dice < 0.8) this.#client.drop()
    else if (dice < 0.87) await this.#stepOut()
    else if (dice < 0.93) await this.#sleep(random() * 600)
    else if (dice < 0.96) await this.#forgetAll()
  }

  #message(): Frame {
    const { random } = this.#habits
    const policy = pick(random, ['queue', 'interrupt', 'interrupt', 'reject', 'steer'])
    const { session } = this.#room
    const content = (this.#habits.directive ?? directive)(random)
    return { type: 'send', id: makeId('c'), session, content, policy, ...this.#seen() }
  }

  #cancel(): Frame {
    const { random } = this.#habits
    const run = random() < 0.5 ? this.#someRun() : undefined
    const { session } = this.#room
    return { type: 'cancel', id: makeId('c'), session, ...(run === undefined ? {} : { run }), ...this.#seen() }
  }

  #someRun(): string | undefined {
    return [...this.#pictured.runs.keys()].at(-1)
  }

  #seen(): { seen?: { run: string; index: number } } {
    const run = this.#someRun()
    if (run === undefined || this.#habits.random() < 0.5) return {}
    return { seen: { run, index: Math.floor(this.#habits.random() * this.#pictured.run(run).next) - 1 } }
  }

  /** Sends what was sent before, by anybody here, acknowledged or not. */
  async #repeat(): Promise<void> {
    const { sent } = this.#room
    const frame = sent[Math.floor(this.#habits.random() * sent.length)]
    if (frame !== undefined) await this.#command(frame)
  }

  async #stepOut(): Promise<void> {
    const detach = { type: 'detach', id: makeId('c'), session: this.#room.session }
    this.#attached = false
    await this.#try('detach', this.#client.command(detach))
  }

  async #sleep(ms: number): Promise<void> {
    this.#client.pause()
    await pause(ms)
    this.#client.resume()
  }

  /** Comes back with nothing, as after clearing the browser's storage. */
  async #forgetAll(): Promise<void> {
    const { records, session } = this.#room
    this.#client.drop()
    const fresh = new StrictClient('').session(session)
    fresh.faults.push(...this.#pictured.faults)
    this.#pictured = fresh
    records.push({ kind: 'forgot', reader: this.name, connection: this.#connection })
  }

  #considerTool(client: StrictClient, frame: Extract<ServerFrame, { type: 'entry' }>): void {
    if (frame.event.type !== 'tool.called' || frame.event.where !== 'client') return
    const work = this.#runTool(client, frame.event.call)
    this.#work.add(work)
    void work.finally(() => this.#work.delete(work))
  }

  async #runTool(client: StrictClient, call: string): Promise<void> {
    const { random } = this.#habits
    const { session } = this.#room
    if (this.#wild && random() < 0.3) return
    // A claim belongs to its connection: it is not repeated by others.
    const claimed = await this.#try(
      'tool.claim',
      client.command({ type: 'tool.claim', id: makeId('c'), session, call }),
    )
    if (!claimed && random() < 0.8) return
    await pause(random() * 200)
    if (this.#wild && random() < 0.2) return client.drop()
    const result: Frame = { type: 'tool.result', id: makeId('c'), session, call, output: { by: this.name } }
    await this.#command(result, client)
    if (random() < 0.3) await this.#command(random() < 0.5 ? result : { ...result, id: makeId('c') }, client)
  }

  async #command(frame: Frame, client = this.#client): Promise<void> {
    this.#room.sent.push(frame)
    // A client tells answers apart by the command's id.
    if (this.#asked.has(frame.id)) return
    this.#asked.add(frame.id)
    if (this.#wild && this.#habits.random() < ECHO) this.#echo(frame)
    await this.#try(frame.type, client.command(frame))
    this.#asked.delete(frame.id)
  }

  /** Somebody else sends the very same, at the same time, perhaps to another node. */
  #echo(frame: Frame): void {
    if (frame.type !== 'send' && frame.type !== 'cancel') return
    const others = this.#room.readers.filter(
      (other) => other !== this && other.#client.open && !other.#asked.has(frame.id),
    )
    if (others.length === 0) return
    const other = pick(this.#habits.random, others)
    const work = other.#command(frame)
    other.#work.add(work)
    void work.finally(() => other.#work.delete(work))
  }

  async #try(what: string, answer: Promise<unknown>): Promise<boolean> {
    try {
      await this.#answered(answer, what)
      return true
    } catch (error) {
      if (error instanceof CommandError) this.#judge(what, error)
      return false
    }
  }

  /** An answer that does not come, though nothing broke, is a fault. */
  async #answered(answer: Promise<unknown>, what: string): Promise<void> {
    try {
      await within(answer, this.#habits.answerMs ?? ANSWER_MS, 'no answer')
    } catch (error) {
      if (error instanceof Error && error.message === 'no answer')
        this.#room.faults.push(`${this.name}: ${what} unanswered`)
      throw error
    }
  }

  #judge(what: string, { frame }: CommandError): void {
    const bad = ['internal', 'contended', 'invalid_frame', 'unknown_type', 'invalid_cursor', 'command_id_reused']
    if (bad.includes(frame.code)) this.#room.faults.push(`${this.name}: ${what} answered ${frame.code}`)
  }

  #acknowledged(frame: Extract<ServerFrame, { type: 'ok' }>, connection: number): void {
    const command = this.#room.sent.find(({ id }) => id === frame.id)
    if (command === undefined) return
    const { type, id, policy } = command
    this.#room.records.push({
      kind: 'ok',
      reader: this.name,
      connection,
      command: { type, id, ...(policy === undefined ? {} : { policy }) },
      ...(frame.run === undefined ? {} : { run: frame.run }),
      duplicate: frame.duplicate === true,
    })
  }
}

function seqOf(cursor: string): number {
  return Number(cursor.split('.')[1])
}

function directive(random: () => number): string {
  const rate = pick(random, [0, 50, 200, 400])
  const count = Math.floor(random() * 40) + 1
  const dice = random()
  if (dice < 0.25) {
    const calls = random() < 0.5 ? 'tool=work input={"n":1}' : 'tool=work input={"n":1} tool=work input={"n":2}'
    return `/demo ${calls} reasoning=${Math.floor(random() * 4)} count=${count} rate=${rate} ttft=0`
  }
  if (dice < 0.32) return `/demo count=50 fail=${Math.floor(random() * 20) + 1} rate=200 ttft=0`
  if (dice < 0.4) return `/demo count=50 hang=${Math.floor(random() * 20) + 1} rate=200 ttft=0`
  if (dice < 0.45) return '/demo count=1500 rate=1500 ttft=0'
  if (dice < 0.5) return '/demo count=20000 rate=0 ttft=0'
  return `/demo reasoning=${Math.floor(random() * 10)} count=${count} rate=${rate} ttft=${Math.floor(random() * 60)}`
}

function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T
}

async function within<T>(work: Promise<T>, ms: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
