// RelayMetrics: the metrics of a relay, in the text format of Prometheus.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

export class RelayMetrics {
  readonly registry = new Registry()
  readonly started: Counter
  readonly resumed: Counter
  readonly orphaned: Counter
  readonly trimmed: Counter
  readonly refused: Counter<'code'>
  readonly received: Counter

  /** @param held returns what the relay holds now */
  constructor(node: string, held: () => { readonly streams: number; readonly bytes: number }) {
    const registers = [this.registry]
    this.registry.setDefaultLabels({ node })
    const counter = (name: string, help: string) => new Counter({ name, help, registers })
    this.started = counter('parley_relay_streams_total', 'Requests that the relay sent to providers.')
    this.resumed = counter('parley_relay_resumed_total', 'Streams that a later owner of a run read.')
    this.orphaned = counter('parley_relay_orphaned_total', 'Streams that ended because nobody read them.')
    this.trimmed = counter('parley_relay_trimmed_total', 'Reads of streams whose beginning was no longer kept.')
    this.received = counter('parley_relay_received_bytes_total', 'Bytes of the bodies of providers.')
    this.refused = new Counter({
      name: 'parley_relay_refused_total',
      help: 'Requests of nodes that the relay refused, by the code of the error.',
      labelNames: ['code'],
      registers,
    })
    new Gauge({
      name: 'parley_relay_streams',
      help: 'Streams that the relay holds.',
      registers,
      collect() {
        this.set(held().streams)
      },
    })
    new Gauge({
      name: 'parley_relay_bytes',
      help: 'Bytes that the relay holds.',
      registers,
      collect() {
        this.set(held().bytes)
      },
    })
    collectDefaultMetrics({ register: this.registry })
  }
}
