// Scrape: parses a node's /metrics, for tests that count.

/** The settings of a node that a Scrape can read. */
export const METRICS = { PARLEY_METRICS_TOKEN: 'a-token-for-the-scrapes-of-tests' } as const

type Labels = Readonly<Record<string, string>>

interface Sample {
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

export class Scrape {
  readonly text: string
  readonly #samples: readonly Sample[]

  constructor(text: string) {
    this.text = text
    this.#samples = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map(parse)
  }

  static async of(port: number): Promise<Scrape> {
    const headers = { Authorization: `Bearer ${METRICS.PARLEY_METRICS_TOKEN}` }
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers })
    if (!response.ok) throw new Error(`/metrics answered ${response.status}`)
    return new Scrape(await response.text())
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#samples.map(({ name }) => name))
  }

  /** The sum over all samples that have at least these labels; 0 when there are none. */
  sum(name: string, labels: Labels = {}): number {
    return this.#samples
      .filter((sample) => sample.name === name && has(sample.labels, labels))
      .reduce((sum, { value }) => sum + value, 0)
  }

  /** Label value → the sum of its samples. */
  by(name: string, label: string, labels: Labels = {}): Readonly<Record<string, number>> {
    const found = this.#samples.filter((sample) => sample.name === name && has(sample.labels, labels))
    const values = [...new Set(found.map((sample) => sample.labels[label] ?? ''))].sort()
    return Object.fromEntries(values.map((value) => [value, this.sum(name, { ...labels, [label]: value })]))
  }
}

function has(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => (labels[name] ?? '') === value)
}

function parse(line: string): Sample {
  const [, name = '', inside = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
  const labels = [...inside.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', text = '']) => [label, text])
  return { name, labels: Object.fromEntries(labels), value: Number(value.replace('Inf', 'Infinity')) }
}
