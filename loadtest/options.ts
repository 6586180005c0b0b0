// Options: what can be asked of the load test, from the command line.
import { parseArgs } from 'node:util'
import { parseDistribution } from './distribution.ts'
import { DOOR_NAMES, type DoorName } from './drivers/driver.ts'
import type { Habits } from './plan.ts'
import { type Impairments, parseBytes, parseMs, parseRate, parseStall } from './proxy/impairments.ts'
import { defaultGenerators } from './stretch.ts'

export const HELP = `npm run loadtest -- [options]

What is driven
  --url URL          a node, several times for several; without, servers are started here and stopped afterwards
  --nodes N          how many to start: 1 with the embedded log, more with a NATS of their own (1)
  --model ID         another model than the node's own; its text is then checked against the session (demo)
  --token TOKEN      where the nodes check tokens

Who comes
  --doors LIST       ${DOOR_NAMES.join(',')} (all but sdk)
  --sessions N       users at once, each with a session of their own; several numbers, with commas, make steps (100)
  --duration TIME    for which each door is driven (30s; a number alone is seconds)
  --together         all doors at once, the users spread over them, instead of one after the other
  --arrive TIME      over which the users arrive (a fifth of the duration)
  --think D          ms from one answer to the next question (exp:5000)
  --answer D         tokens of an answer (lognormal:60,0.5)
  --pace D           tokens a second (lognormal:40,0.3)
  --ttft D           ms before the model's first token (uniform:100,300)
  --patience D       ms more than the model takes after which a user gives up and cancels (none does)
  --seed N           the same seed, the same load (1)
  D is a distribution: 5, uniform:1,9, exp:4 or lognormal:60,0.5 (median, sigma of the logarithm).

The network between
  --cut RATE         connections reset: 5%/10s is one in twenty of those open, every ten seconds
  --stall RATE:TIME  connections on which nothing passes for a while: 2%/10s:3s
  --blackhole RATE   connections on which nothing passes any more, and nobody is told
  --latency TIME --jitter TIME    added each way
  --bandwidth BYTES  a second, of each connection, each way: 64k

How it is measured
  --goal TIME        latency goal of the capacity model: p95 added to the model's own time (50ms)
  --utilization N    of a node's core that the capacity model allows (0.7)
  --plan N           users for whom nodes are counted (10000)
  --memory N         attached sessions by which memory is measured, on servers started here; 0: not (3000)
  --generators N     processes of users (${defaultGenerators()} here)
  --silence TIME     after which a user takes a silent connection for dead (20s)
  --drain TIME       at most, for answers under way at the end: a poll in a black hole is noticed late (90s)
  --out FOLDER       for report.html and report.json (artifacts/loadtest)

Ends with 0 when every answer came whole, 1 when anything was lost, repeated, reordered, wrong or missing, 2 for a wrong option.
`

export interface Options {
  readonly urls: readonly string[]
  readonly nodes: number
  readonly model: string | undefined
  readonly token: string | undefined
  readonly doors: readonly DoorName[]
  readonly together: boolean
  readonly steps: readonly number[]
  readonly habits: Omit<Habits, 'users'>
  readonly impairments: Impairments
  readonly goalMs: number
  readonly utilization: number
  readonly plan: number
  readonly memory: number
  readonly generators: number
  readonly silenceMs: number
  readonly drainMs: number
  readonly out: string
}

const DEFAULTS = {
  nodes: '1',
  doors: DOOR_NAMES.filter((name) => name !== 'sdk').join(','),
  sessions: '100',
  duration: '30s',
  think: 'exp:5000',
  answer: 'lognormal:60,0.5',
  pace: 'lognormal:40,0.3',
  ttft: 'uniform:100,300',
  seed: '1',
  latency: '0',
  jitter: '0',
  goal: '50ms',
  utilization: '0.7',
  plan: '10000',
  memory: '3000',
  silence: '20s',
  drain: '90s',
  out: 'artifacts/loadtest',
} as const

const OPTIONAL = [
  'model',
  'token',
  'arrive',
  'patience',
  'cut',
  'stall',
  'blackhole',
  'bandwidth',
  'generators',
] as const

/** @returns undefined where help is wanted. @throws Error that names what is wrong */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h' },
      together: { type: 'boolean' },
      url: { type: 'string', multiple: true },
      ...texts(Object.keys(DEFAULTS)),
      ...texts(OPTIONAL),
    },
  })
  if (values.help === true) return undefined
  const given = values as Readonly<Record<string, string | undefined>>
  const text = (name: keyof typeof DEFAULTS): string => given[name] ?? DEFAULTS[name]
  const maybe = <T>(name: (typeof OPTIONAL)[number], parse: (value: string) => T): T | undefined => {
    const value = given[name]
    return value === undefined ? undefined : parse(value)
  }
  const time = (value: string) => parseMs(/^\d+$/.test(value) ? `${value}s` : value)
  const durationMs = time(text('duration'))
  const network = {
    cut: maybe('cut', parseRate),
    stall: maybe('stall', parseStall),
    blackhole: maybe('blackhole', parseRate),
    bandwidth: maybe('bandwidth', parseBytes),
  }
  return {
    urls: (values.url ?? []).map(urlOf),
    nodes: whole('nodes', text('nodes'), 1, 9),
    model: given.model,
    token: given.token,
    doors: text('doors').split(',').map(doorOf),
    together: values.together === true,
    steps: text('sessions')
      .split(',')
      .map((number) => whole('sessions', number, 1, 1_000_000)),
    habits: {
      seed: whole('seed', text('seed'), 0, 2 ** 31),
      durationMs,
      arrivalMs: maybe('arrive', time) ?? durationMs / 5,
      think: parseDistribution(text('think')),
      answer: parseDistribution(text('answer')),
      pace: parseDistribution(text('pace')),
      ttft: parseDistribution(text('ttft')),
      patience: maybe('patience', parseDistribution),
    },
    impairments: {
      ...(Object.fromEntries(
        Object.entries(network).filter(([, value]) => value !== undefined),
      ) as Partial<Impairments>),
      latencyMs: parseMs(text('latency')),
      jitterMs: parseMs(text('jitter')),
    },
    goalMs: parseMs(text('goal')),
    utilization: share(text('utilization')),
    plan: whole('plan', text('plan'), 1, 1_000_000_000),
    memory: whole('memory', text('memory'), 0, 15_000),
    generators: maybe('generators', (value) => whole('generators', value, 1, 64)) ?? defaultGenerators(),
    silenceMs: time(text('silence')),
    drainMs: time(text('drain')),
    out: text('out'),
  }
}

function texts(names: readonly string[]): Record<string, { type: 'string' }> {
  return Object.fromEntries(names.map((name) => [name, { type: 'string' }]))
}

function urlOf(text: string): string {
  if (!/^http:\/\/[^/]+\/?$/.test(text)) throw new RangeError(`--url ${text}: must be of the form http://host:port`)
  return text.replace(/\/$/, '')
}

function doorOf(name: string): DoorName {
  const found = DOOR_NAMES.find((door) => door === name)
  if (found === undefined) throw new RangeError(`--doors ${name}: must be of ${DOOR_NAMES.join(', ')}`)
  return found
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`--${name} ${text}: must be a whole number from ${min} to ${max}`)
  }
  return value
}

function share(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 1)) throw new RangeError(`--utilization ${text}: must be above 0 and at most 1`)
  return value
}
