// Options: the command line of the load test.
import { parseArgs } from 'node:util'
import { TRANSPORT_NAMES, type TransportName } from './drivers/driver.ts'
import { defaultGenerators } from './phase.ts'
import type { Habits } from './plan.ts'
import { type Impairments, parseBytes, parseMs, parseRate, parseStall } from './proxy/impairments.ts'
import { parseDistribution } from './random.ts'

export const HELP = `npm run loadtest -- [options]

Servers
  --url URL          the URL of a node, repeated for several; default: start servers here and stop them afterwards
  --nodes N          nodes to start: 1 uses the embedded log, more use a NATS server (default 1)
  --model ID         use this model instead of demo, and check its text against the session
  --token TOKEN      the access token, if the nodes check tokens

Users
  --doors LIST       transports: ${TRANSPORT_NAMES.join(',')} (default all but sdk)
  --sessions N       concurrent users, each with a session; several numbers, as 100,200,400, run one after the other (100)
  --duration TIME    duration per transport (30s; a plain number is seconds)
  --together         run all transports at the same time, and divide the users among them
  --arrive TIME      period over which the users arrive (a fifth of the duration)
  --think D          ms from an answer to the next question (exp:5000)
  --answer D         tokens per answer (lognormal:60,0.5)
  --pace D           tokens per second (lognormal:40,0.3)
  --ttft D           ms until the model's first token (uniform:100,300)
  --patience D       ms, added to the model's own time, after which a user cancels (default never)
  --seed N           the same seed gives the same load (1)
  D is a distribution: 5, uniform:1,9, exp:4 or lognormal:60,0.5 (median, sigma of the logarithm).

Network
  --cut RATE         reset connections: 5%/10s resets one in twenty open connections every ten seconds
  --stall RATE:TIME  block connections for a while: 2%/10s:3s
  --blackhole RATE   block connections forever, without closing them
  --latency TIME --jitter TIME    added in each direction
  --bandwidth BYTES  bytes per second, per connection and direction: 64k

Measurement
  --goal TIME        latency goal of the capacity model: p95 added to the model's own time (50ms)
  --utilization N    share of a core that the capacity model allows (0.7)
  --plan N           number of users to plan nodes for (10000)
  --memory N         sessions for measuring memory, on servers started here; 0: skip (3000)
  --generators N     load generator processes (default ${defaultGenerators()} on this machine)
  --silence TIME     after this long without data, a user treats the connection as dead (20s)
  --drain TIME       maximum wait for outstanding answers at the end (90s)
  --out FOLDER       folder for report.html and report.json (artifacts/loadtest)

Exit codes: 0 all answers are complete and correct, 1 an answer is not, 2 invalid option, 3 the test failed to run.
`

export interface Options {
  readonly urls: readonly string[]
  readonly nodes: number
  readonly model: string | undefined
  readonly token: string | undefined
  readonly doors: readonly TransportName[]
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
  doors: TRANSPORT_NAMES.filter((name) => name !== 'sdk').join(','),
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

/** @returns undefined for --help. @throws Error that names the invalid option */
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
    doors: text('doors').split(',').map(transportOf),
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

function transportOf(name: string): TransportName {
  const found = TRANSPORT_NAMES.find((door) => door === name)
  if (found === undefined) throw new RangeError(`--doors ${name}: must be of ${TRANSPORT_NAMES.join(', ')}`)
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
