// NodeMetrics: what a node concluded about other nodes that seemed to be dead, and the runs that it returned for them.
import { Counter, type Registry } from 'prom-client'

const CAUSES = ['gone', 'silent'] as const

export class NodeMetrics {
  readonly #suspicions: Counter<'outcome'>
  readonly #returned: Counter<'cause'>

  constructor(registry: Registry) {
    this.#suspicions = new Counter({
      name: 'parley_node_suspicions_total',
      help: 'Suspicions that another node is dead, by outcome: refuted, gone or silent.',
      labelNames: ['outcome'],
      registers: [registry],
    })
    this.#returned = new Counter({
      name: 'parley_runs_returned_total',
      help: 'Runs of dead nodes that this node returned to the queue, by cause: gone or silent.',
      labelNames: ['cause'],
      registers: [registry],
    })
    // Without these zeros, the first increase would be invisible.
    for (const outcome of ['refuted', ...CAUSES]) this.#suspicions.inc({ outcome }, 0)
    for (const cause of CAUSES) this.#returned.inc({ cause }, 0)
  }

  judged({ outcome, runs }: { readonly outcome: 'refuted' | 'gone' | 'silent'; readonly runs: number }): void {
    this.#suspicions.inc({ outcome })
    if (outcome !== 'refuted') this.#returned.inc({ cause: outcome }, runs)
  }
}
