// Parses saved texts of `/metrics`, and computes the increase between two of them. A counter that is lower than before was
// reset by a restart of its node, so its whole value is the increase.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

/** @throws Error that names the malformed line */
export function parseScrape(text: string): readonly Sample[] {
  const samples: Sample[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue
    const [, name, inner = '', value = ''] = LINE.exec(line.trimEnd()) ?? []
    if (name === undefined) throw new Error(`line ${index + 1} is not in the text format of Prometheus`)
    const labels = Object.fromEntries(
      [...inner.matchAll(LABEL)].map(([, key = '', text = '']) => [key, unescaped(text)]),
    )
    samples.push({ name, labels, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) })
  }
  return samples
}

/** @returns the increases; a series is identified by all its labels, including the node */
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
