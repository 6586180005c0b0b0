// Opens JetStream stores under a random prefix on a shared nats-server, for the contract suites and the JetStream
// tests. A crash kills the nats-server with SIGKILL, restarts it on its folder, and opens new stores before the old
// ones close.
import { randomBytes } from 'node:crypto'
import type { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { type JetStreamStores, type JetStreamStoresOptions, openJetStreamStores } from '../jetstream/stores.ts'

export type JetStreamHarnessOptions = Omit<JetStreamStoresOptions, 'connection' | 'now'>

/** The parts of a server or a cluster that the harness uses. */
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

  /** JetStream has no deferred work. An answer means that all earlier requests have been processed. */
  async maintain(): Promise<void> {
    await this.log.last('nobody', 'nothing')
  }

  /** Opens another node on the same streams. The caller closes it. */
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
