// RelayedRuns: runs over nodes with a relay, each with a reader that reconnects and verifies every frame, while nodes are killed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Event, makeId } from '@parley/protocol'
import { expect } from 'vitest'
import { ServerProcess } from '../../../bench/cluster/server-process.ts'
import { type SessionPicture, StrictClient } from '../strict-client.ts'
import { billOf, CountingProvider, outputOf, STEPS, textOf } from './counting-provider.ts'

const SECRET = 'a-secret-of-at-least-32-bytes-for-the-relay'
const RETRY_MS = 50

export class RelayedRuns {
  readonly provider: CountingProvider
  readonly nodes: ServerProcess[] = []
  relay!: ServerProcess
  readonly #folder = mkdtempSync(join(tmpdir(), 'parley-relayed-'))
  readonly #readers: Promise<void>[] = []
  readonly #pictures = new Map<string, SessionPicture>()
  #isStopped = false

  /** @param tokenMs milliseconds between two tokens of an answer */
  static async start(nodes: number, env: Readonly<Record<string, string>>, tokenMs: number): Promise<RelayedRuns> {
    const runs = new RelayedRuns(tokenMs)
    await runs.provider.start()
    const index = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
    const config = join(runs.#folder, 'parley.config.mjs')
    writeFileSync(
      config,
      `import { defineTool } from ${JSON.stringify(index)}
       const inputSchema = { type: 'object', properties: { note: { type: 'string' } } }
       export default { tools: [defineTool({ name: 'note', inputSchema, execute: ({ note }) => note })] }`,
    )
    const metrics = { PARLEY_METRICS: 'on', PARLEY_METRICS_TOKEN: SECRET }
    const shared = { PARLEY_RELAY_SECRET: SECRET, PARLEY_COMPATIBLE_URL: runs.provider.url, ...metrics }
    runs.relay = await ServerProcess.start({ ...shared, PARLEY_ROLE: 'relay' })
    for (let number = 0; number < nodes; number += 1) {
      const node = await ServerProcess.start({
        ...shared,
        PARLEY_CONFIG: config,
        PARLEY_MODEL: 'compatible:m',
        PARLEY_RELAY_URL: `http://127.0.0.1:${runs.relay.port}`,
        PARLEY_NODE: `n${number}`,
        ...env,
      })
      runs.nodes.push(node)
    }
    return runs
  }

  private constructor(tokenMs: number) {
    this.provider = new CountingProvider(tokenMs)
  }

  get ended(): number {
    return [...this.#pictures].filter(([name, picture]) => endOf(name, picture) !== undefined).length
  }

  /** Starts a run, and a reader of its session. */
  async begin(name: string): Promise<void> {
    const frame = { type: 'send', id: makeId('c'), session: name, content: `run=${name}` }
    for (;;) {
      const client = await this.#attached(name)
      try {
        await client.command(frame)
        this.#readers.push(this.#read(name, client))
        return
      } catch {
        // Its node was killed, or is shutting down. The command has one effect, however often it is sent.
        client.drop()
      }
    }
  }

  /** Resolves when all runs have ended. */
  async finished(): Promise<void> {
    await Promise.all(this.#readers)
  }

  /** Every run has completed. */
  expectEnded(): void {
    for (const [name, picture] of this.#pictures) {
      expect(picture.faults, name).toEqual([])
      expect(endOf(name, picture), name).toMatchObject({ reason: 'completed' })
    }
  }

  /** Each answer is the provider's, byte for byte, and was requested and billed once. Readers lost nothing. */
  async expectWhole(): Promise<void> {
    for (const [name, picture] of this.#pictures) {
      expect(picture.faults, name).toEqual([])
      const restarts = picture.events.filter((event) => event.type === 'run.started' && event.mode === 'restart')
      expect(restarts, `${name}: ${this.#warnings().join('\n')}`).toEqual([])
      const end = endOf(name, picture)
      expect(end, name).toMatchObject({ reason: 'completed' })
      const whole = outputOf(name)
      expect(picture.run(end?.run ?? '').text, name).toBe(textOf(name))
      expect(await this.#stored(name), name).toEqual(whole)
    }
    expect(this.provider.repeated).toEqual([])
    expect(this.provider.requests.size).toBe(this.#pictures.size * STEPS)
    const bill = [...this.#pictures.keys()].reduce((sum, name) => sum + billOf(name), 0)
    expect(this.provider.tokens).toBe(bill)
  }

  /** How many times a node continued a response of the relay, since the nodes started. */
  async resumed(): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${this.relay.port}/metrics`, {
      headers: { authorization: `Bearer ${SECRET}` },
    })
    return Number(/parley_relay_resumed_total\{[^}]*\} (\d+)/.exec(await response.text())?.[1] ?? Number.NaN)
  }

  /** The output of the run as a new reader gets it. */
  async #stored(name: string): Promise<string[]> {
    const response = await fetch(`http://127.0.0.1:${this.#listening()[0]?.port}/v1/sessions/${name}/events`)
    const { entries } = (await response.json()) as { readonly entries: readonly { readonly event: Event }[] }
    return entries.flatMap(({ event }) =>
      event.type !== 'run.ended' ? [] : (event.output ?? []).flatMap((part) => ('text' in part ? [part.text] : [])),
    )
  }

  /** What the nodes logged about lost answers. */
  #warnings(): string[] {
    return this.nodes.flatMap(({ logs }) => logs.filter((line) => /lost the answer|no relay accepted/.test(line)))
  }

  #listening(): ServerProcess[] {
    return this.nodes.filter(({ state }) => state === 'listening')
  }

  async dispose(): Promise<void> {
    this.#isStopped = true
    await Promise.all([...this.nodes, this.relay].map((node) => node?.dispose()))
    await Promise.allSettled(this.#readers)
    await this.provider.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #read(name: string, first: StrictClient): Promise<void> {
    let client = first
    const picture = client.session(name)
    this.#pictures.set(name, picture)
    while (!this.#isStopped && endOf(name, picture) === undefined) {
      if (client.open) await Promise.race([client.frame(() => true), sleep(RETRY_MS)])
      else client = await this.#attached(name, picture)
    }
    client.drop()
  }

  async #attached(name: string, picture?: SessionPicture): Promise<StrictClient> {
    for (;;) {
      const alive = this.#listening()
      const node = alive[Math.floor(Math.random() * alive.length)]
      if (this.#isStopped) throw new Error('stopped')
      if (node !== undefined) {
        const client = new StrictClient(node.url)
        if (picture !== undefined) client.sessions.set(name, picture)
        try {
          await client.connect()
          await client.attach(name)
          return client
        } catch {
          // It was killed.
          client.drop()
        }
      }
      await sleep(RETRY_MS)
    }
  }
}

function endOf(name: string, picture: SessionPicture) {
  const event = picture.events.find(({ type }) => type === 'run.ended')
  return event?.type === 'run.ended' ? { ...event, name } : undefined
}
