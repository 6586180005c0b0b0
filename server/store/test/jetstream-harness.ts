// Opens JetStream stores under a prefix of their own on one shared nats-server, for the contract suites and the JetStream
// tests. A crash is kill -9 of the nats-server, started again on its folder, and stores that are opened anew: what the
// old ones would do at their end has no part in it.
import { randomBytes } from 'node:crypto'
import type { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { type JetStreamStores, type JetStreamStoresOptions, openJetStreamStores } from '../jetstream/stores.ts'

export type JetStreamHarnessOptions = Omit<JetStreamStoresOptions, 'connection' | 'now'>

/** What the harness needs of a server, or of a cluster. */
export type Server = Pick<NatsServer, 'url' | 'restart'>

export class JetStreamHarness {
  readonly server: Server
  readonly prefix = `t${randomBytes(6).toString('hex')}`
  readonly #options: JetStreamHarnessOptions
  readonly #clock = { now: 1_700_000_000_000 }
  #stores: JetStreamStores | undefined

  static async open(server: Server, options: JetStreamHarnessOptions = {}): Promise<JetStreamHarness> {
    const harness = new JetStreamHarness(server, options)
    harness.#stores = await harness.join()
    return harness
  }

  private constructor(server: Server, options: JetStreamHarnessOptions) {
    this.server = server
    this.#options = options
  }

  get stores(): JetStreamStores {
    if (this.#stores === undefined) throw new Error('the stores are not open')
    return this.#stores
  }

  get log(): JetStreamStores['log'] {
    return this.stores.log
  }

  get transcripts(): JetStreamStores['transcripts'] {
    return this.stores.transcripts
  }

  get runs(): JetStreamStores['runs'] {
    return this.stores.runs
  }

  get directory(): JetStreamStores['directory'] {
    return this.stores.directory
  }

  get deletions(): JetStreamStores['deletions'] {
    return this.stores.deletions
  }

  get usage(): JetStreamStores['usage'] {
    return this.stores.usage
  }

  advance(ms: number): void {
    this.#clock.now += ms
  }

  /** JetStream has no work that waits for a better moment: an answer says that what was sent before has been done. */
  async rest(): Promise<void> {
    await this.log.last('nobody', 'nothing')
  }

  /** Another node on the same streams; it has to be closed. */
  join(options: JetStreamHarnessOptions & { readonly url?: string } = {}): Promise<JetStreamStores> {
    const all = { ...this.#options, ...options }
    return openJetStreamStores({
      closeTimeoutMs: 1_000,
      ...all,
      log: { graceMs: 0, ...all.log },
      connection: { servers: (options.url ?? this.server.url).split(',') },
      streams: { prefix: this.prefix, ...all.streams },
      now: () => this.#clock.now,
    })
  }

  async reopen(): Promise<void> {
    await this.stores.close()
    this.#stores = await this.join()
  }

  async crash(): Promise<void> {
    const old = this.stores
    await this.server.restart('SIGKILL')
    this.#stores = await this.join()
    await old.close()
  }

  async close(): Promise<void> {
    await this.stores.close()
  }
}
