// Scrapes: saved texts of `/metrics`, and what was counted between two of them. A counter that is lower than before began
// anew: its node did, too, and all it shows was counted since.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

/** @throws Error where a line is none of the format's */
export function parseScrape(text: string): readonly Sample[] {
  const samples: Sample[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue
    const [, name, inner = '', value = ''] = LINE.exec(line.trimEnd()) ?? []
    if (name === undefined) throw new Error(`line ${index + 1} is no sample of Prometheus's text format`)
    const labels = Object.fromEntries(
      [...inner.matchAll(LABEL)].map(([, key = '', text = '']) => [key, unescaped(text)]),
    )
    samples.push({ name, labels, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) })
  }
  return samples
}

/** @returns what counters rose by; series are told apart by all of their labels, the node among them */
export function between(before: readonly Sample[], after: readonly Sample[]): readonly Sample[] {
  const start = new Map(before.map((sample) => [keyOf(sample), sample.value]))
  return after.map((sample) => {
    const from = start.get(keyOf(sample)) ?? 0
    return { ...sample, value: sample.value >= from ? sample.value - from : sample.value }
  })
}

function keyOf({ name, labels }: Sample): string {
  return JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))])
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character))
}
