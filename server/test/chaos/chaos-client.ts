// ChaosClient: a client of a session with random actions: it sends, interrupts, steers, cancels, repeats commands, runs
// tools, stops reading, disconnects, and resumes. It records everything that it receives in the session's history.
import { setTimeout as sleep } from 'node:timers/promises'
import { type CodecName, makeId, type ServerFrame } from '@parley/protocol'
import { CommandError, type SessionPicture, StrictClient } from '../strict-client.ts'
import type { CommandSent, HistoryRecord } from './history.ts'

type Frame = CommandSent & Record<string, unknown>

/** The state that the clients of one session share. */
export interface ChaosSession {
  /** The URLs of all nodes: a client reconnects to any of them. */
  readonly urls: readonly string[]
  readonly id: string
  readonly records: HistoryRecord[]
  readonly sent: Frame[]
  readonly faults: string[]
  /** Sometimes two of them send the same command concurrently. */
  readonly clients: ChaosClient[]
}

export function newChaosSession(id: string, urls: readonly string[]): ChaosSession {
  return { urls, id, records: [], sent: [], faults: [], clients: [] }
}

export interface ChaosClientOptions {
  readonly name: string
  readonly codec: CodecName
  readonly merge: boolean
  readonly random: () => number
  /** Milliseconds between actions, on average. */
  readonly paceMs?: number
  /** A random message to the demo model. */
  readonly directive?: (random: () => number) => string
  /** Milliseconds after which a missing answer on an open connection is a fault. */
  readonly answerMs?: number
  /** Characters of a tool result. */
  readonly resultChars?: (random: () => number) => number
  /** Milliseconds to wait for `welcome` before trying another node. */
  readonly welcomeMs?: number
}

const TOOLS = [{ name: 'work', description: 'Does some work.', inputSchema: { type: 'object' }, timeoutMs: 3_000 }]
const ANSWER_MS = 20_000
const PACE_MS = 125
const CHECK_MS = 500
const RETRY_MS = 100
/** The probability that two clients send a command concurrently. */
const ECHO = 0.1

let connections = 0

export class ChaosClient {
  readonly #session: ChaosSession
  readonly #options: ChaosClientOptions
  #client: StrictClient
  #connection = 0
  /** Called after every frame. */
  #changed: () => void = () => undefined
  #attached = false
  #picture: SessionPicture
  /** False: it only reads, and runs every tool immediately. */
  #isActing = true
  /** Running tools, and commands of other clients that it repeats. */
  readonly #tasks = new Set<Promise<void>>()
  /** Ids of its commands without an answer. */
  readonly #pending = new Set<string>()

  constructor(session: ChaosSession, options: ChaosClientOptions) {
    this.#session = session
    this.#options = options
    session.clients.push(this)
    this.#client = new StrictClient('', options)
    this.#picture = this.#client.session(session.id)
  }

  get name(): string {
    return this.#options.name
  }

  get picture(): SessionPicture {
    return this.#picture
  }

  /** Acts at random until `isStopped` is true. */
  async act(isStopped: () => boolean): Promise<void> {
    while (!isStopped()) {
      if (!(await this.#ensureAttached())) {
        await sleep(50 + this.#options.random() * 100)
        continue
      }
      await this.#actOnce()
      await sleep(this.#options.random() * 2 * (this.#options.paceMs ?? PACE_MS))
    }
  }

  /** From now on it only reads, and runs every tool. */
  async stopActing(): Promise<void> {
    this.#isActing = false
    await Promise.allSettled([...this.#tasks])
    this.#client.resume()
    for (let attempt = 0; attempt < 100; attempt += 1) {
      if (await this.#ensureAttached()) return
      await sleep(RETRY_MS)
    }
    this.#session.faults.push(`${this.name} failed to reconnect`)
  }

  disconnect(): void {
    this.#client.drop()
  }

  /** Resolves with true when the picture satisfies the condition, or with false after `ms`. Reconnects meanwhile. */
  async waitFor(matches: (picture: SessionPicture) => boolean, ms: number): Promise<boolean> {
    const until = performance.now() + ms
    while (!matches(this.#picture)) {
      if (performance.now() > until) return false
      const changed = new Promise<void>((resolve) => {
        this.#changed = resolve
      })
      if (this.#client.open || (await this.#ensureAttached())) await Promise.race([changed, sleep(CHECK_MS)])
      else await sleep(RETRY_MS)
    }
    return true
  }

  async #ensureAttached(): Promise<boolean> {
    try {
      if (!this.#client.open) await this.#connect()
      if (!this.#attached) await this.#attach()
      return true
    } catch (error) {
      if (error instanceof CommandError) this.#checkError('attach', error)
      this.#client.drop()
      return false
    }
  }

  async #connect(): Promise<void> {
    const { urls, id: session, records } = this.#session
    const client = new StrictClient(pick(this.#options.random, urls), this.#options)
    // All connections share the picture.
    client.sessions.set(session, this.#picture)
    const connection = ++connections
    const { name: reader, answerMs = ANSWER_MS, welcomeMs = answerMs } = this.#options
    client.onFrame((frame) => {
      if (frame.type === 'attached') {
        const { node = '' } = client.welcome ?? {}
        records.push({ kind: 'attached', reader, connection, reset: frame.reset === true, node })
      }
      if (frame.type === 'live') records.push({ kind: 'live', reader, connection, seq: seqOf(frame.cursor) })
      if (frame.type === 'entry') {
        const { time, event, cursor } = frame
        records.push({ kind: 'entry', reader, connection, seq: seqOf(cursor), time, event })
        this.#startTool(client, frame)
      }
      if (frame.type === 'ok') this.#recordAnswer(frame, connection)
      this.#changed()
    })
    this.#client.drop()
    this.#client = client
    this.#connection = connection
    this.#attached = false
    await within(client.connect(), welcomeMs, 'no welcome')
  }

  async #attach(): Promise<void> {
    const tools = !this.#isActing || this.#options.random() < 0.6 ? { tools: TOOLS } : {}
    await this.#answered(this.#client.attach(this.#session.id, tools), 'attach')
    this.#attached = true
  }

  async #actOnce(): Promise<void> {
    const { random } = this.#options
    const dice = random()
    if (dice < 0.45) await this.#command(this.#message())
    else if (dice < 0.6) await this.#command(this.#cancel())
    else if (dice < 0.7) await this.#repeat()
    else if (dice < 0.8) this.#client.drop()
    else if (dice < 0.87) await this.#detach()
    else if (dice < 0.93) await this.#stopReading(random() * 600)
    else if (dice < 0.96) await this.#forget()
  }

  #message(): Frame {
    const { random } = this.#options
    const policy = pick(random, ['queue', 'interrupt', 'interrupt', 'reject', 'steer'])
    const { id: session } = this.#session
    const content = (this.#options.directive ?? directive)(random)
    return { type: 'send', id: makeId('c'), session, content, policy, ...this.#seen() }
  }

  #cancel(): Frame {
    const { random } = this.#options
    const run = random() < 0.5 ? this.#latestRun() : undefined
    const { id: session } = this.#session
    return { type: 'cancel', id: makeId('c'), session, ...(run === undefined ? {} : { run }), ...this.#seen() }
  }

  #latestRun(): string | undefined {
    return [...this.#picture.runs.keys()].at(-1)
  }

  #seen(): { seen?: { run: string; index: number } } {
    const run = this.#latestRun()
    if (run === undefined || this.#options.random() < 0.5) return {}
    return { seen: { run, index: Math.floor(this.#options.random() * this.#picture.run(run).next) - 1 } }
  }

  /** Repeats an earlier command of any client of the session, acknowledged or not. */
  async #repeat(): Promise<void> {
    const { sent } = this.#session
    const frame = sent[Math.floor(this.#options.random() * sent.length)]
    if (frame !== undefined) await this.#command(frame)
  }

  async #detach(): Promise<void> {
    const detach = { type: 'detach', id: makeId('c'), session: this.#session.id }
    this.#attached = false
    await this.#attempt('detach', this.#client.command(detach))
  }

  async #stopReading(ms: number): Promise<void> {
    this.#client.pause()
    await sleep(ms)
    this.#client.resume()
  }

  /** Discards everything, like a browser whose storage is cleared. */
  async #forget(): Promise<void> {
    const { records, id: session } = this.#session
    this.#client.drop()
    const fresh = new StrictClient('').session(session)
    fresh.faults.push(...this.#picture.faults)
    this.#picture = fresh
    records.push({ kind: 'forgot', reader: this.name, connection: this.#connection })
  }

  #startTool(client: StrictClient, frame: Extract<ServerFrame, { type: 'entry' }>): void {
    if (frame.event.type !== 'tool.called' || frame.event.where !== 'client') return
    const task = this.#runTool(client, frame.event.call)
    this.#tasks.add(task)
    void task.finally(() => this.#tasks.delete(task))
  }

  async #runTool(client: StrictClient, call: string): Promise<void> {
    const { random } = this.#options
    const { id: session } = this.#session
    if (this.#isActing && random() < 0.3) return
    // A claim belongs to its connection, so other clients do not repeat it.
    const claimed = await this.#attempt(
      'tool.claim',
      client.command({ type: 'tool.claim', id: makeId('c'), session, call }),
    )
    if (!claimed && random() < 0.8) return
    await sleep(random() * 200)
    if (this.#isActing && random() < 0.2) return client.drop()
    const result: Frame = { type: 'tool.result', id: makeId('c'), session, call, output: this.#output() }
    await this.#command(result, client)
    if (random() < 0.3) await this.#command(random() < 0.5 ? result : { ...result, id: makeId('c') }, client)
  }

  #output(): Record<string, string> {
    const { name: by, random, resultChars } = this.#options
    return resultChars === undefined ? { by } : { by, data: 'x'.repeat(resultChars(random)) }
  }

  async #command(frame: Frame, client = this.#client): Promise<void> {
    this.#session.sent.push(frame)
    // Two pending commands with the same id would share one answer.
    if (this.#pending.has(frame.id)) return
    this.#pending.add(frame.id)
    if (this.#isActing && this.#options.random() < ECHO) this.#repeatConcurrently(frame)
    await this.#attempt(frame.type, client.command(frame))
    this.#pending.delete(frame.id)
  }

  /** Another client sends the same command at the same time, perhaps to another node. */
  #repeatConcurrently(frame: Frame): void {
    if (frame.type !== 'send' && frame.type !== 'cancel') return
    const others = this.#session.clients.filter(
      (other) => other !== this && other.#client.open && !other.#pending.has(frame.id),
    )
    if (others.length === 0) return
    const other = pick(this.#options.random, others)
    const task = other.#command(frame)
    other.#tasks.add(task)
    void task.finally(() => other.#tasks.delete(task))
  }

  async #attempt(what: string, answer: Promise<unknown>): Promise<boolean> {
    try {
      await this.#answered(answer, what)
      return true
    } catch (error) {
      if (error instanceof CommandError) this.#checkError(what, error)
      return false
    }
  }

  /** A missing answer on an open connection is a fault. */
  async #answered(answer: Promise<unknown>, what: string): Promise<void> {
    try {
      await within(answer, this.#options.answerMs ?? ANSWER_MS, 'no answer')
    } catch (error) {
      if (error instanceof Error && error.message === 'no answer')
        this.#session.faults.push(`${this.name}: ${what} has no answer`)
      throw error
    }
  }

  /** Records the error as a fault, unless it is an expected one. */
  #checkError(what: string, { frame }: CommandError): void {
    const bad = ['internal', 'contended', 'invalid_frame', 'unknown_type', 'invalid_cursor', 'command_id_reused']
    if (bad.includes(frame.code)) this.#session.faults.push(`${this.name}: ${what} answered ${frame.code}`)
  }

  #recordAnswer(frame: Extract<ServerFrame, { type: 'ok' }>, connection: number): void {
    const command = this.#session.sent.find(({ id }) => id === frame.id)
    if (command === undefined) return
    const { type, id, policy } = command
    this.#session.records.push({
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
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
