// Settings: the one table of everything that can be configured: variable, default, meaning, form. `--help` and
// the checks are made from it. A setting's key in a configuration file is its key here.
import { hostname } from 'node:os'
import { Budget, LIMITS } from '@parley/protocol'
import { z } from 'zod'
import { ExperimentForm } from '../experiment/experiment-plan.ts'
import { parseBudget } from '../limit/budget.ts'
import { PriceTable } from '../metric/prices.ts'
import { isNetwork } from '../transports/http/client-address.ts'

export interface Setting<T> {
  readonly variable: string
  readonly help: string
  /** Takes the variable's text, or the value from a file. */
  readonly schema: z.ZodType<T>
  readonly fallback: T
  /** Never shown. */
  readonly secret?: true
}

const text = z.string().trim().min(1)
const url = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })
const list = z.union([
  z.array(text),
  text.transform((items) =>
    items
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  ),
])
const origin = z.string().refine((item) => item === '*' || (URL.canParse(item) && new URL(item).origin === item), {
  error: 'must be origins such as https://chat.example.com, or *',
})

const natsServer = z.string().regex(/^(?:(?:nats|tls):\/\/)?[^\s/,]+$/, {
  error: 'must be NATS servers such as nats://10.0.0.1:4222, with commas',
})

/** Also as text, such as `1000000/1d`. */
const budget = z.union([Budget, text.transform((written) => parseBudget(written)).pipe(Budget)], {
  error: 'must be tokens over a time of up to 31 days, such as 1000000/1d or 50000/12h',
})

/** A whole number, also as text. */
function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  const number = z.int({ error }).min(min, { error }).max(max, { error })
  return z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)], { error }).pipe(number)
}

function setting<T, Fallback extends T | undefined>(
  variable: string,
  schema: z.ZodType<T>,
  fallback: Fallback,
  help: string,
  more: { readonly secret?: true } = {},
): Setting<Fallback extends undefined ? T | undefined : T> {
  return { variable, schema, fallback, help, ...more } as Setting<Fallback extends undefined ? T | undefined : T>
}

const DAY_S = 24 * 60 * 60

export const SETTINGS = {
  host: setting('PARLEY_HOST', text, '127.0.0.1', 'Address to listen on. Beyond loopback a token check is needed.'),
  port: setting('PARLEY_PORT', whole(0, 65_535), 8080, 'Port to listen on; 0 picks a free one.'),
  sharePort: setting(
    'PARLEY_SHARE_PORT',
    z.enum(['yes', 'no'], { error: 'must be yes or no' }),
    'no',
    'yes: several nodes on this machine listen on the same port, and the kernel spreads the connections.',
  ),
  data: setting('PARLEY_DATA', text, './data', 'Folder of the embedded log.'),
  role: setting(
    'PARLEY_ROLE',
    z.enum(['all', 'gateway', 'worker']),
    'all',
    'What this node does: all, gateway (clients, no runs) or worker (runs, no clients).',
  ),
  node: setting(
    'PARLEY_NODE',
    z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, { error: 'must be 1 to 64 of A-Z a-z 0-9 _ -' }),
    nodeName(hostname()),
    "This node's name.",
  ),

  natsUrl: setting(
    'PARLEY_NATS_URL',
    list.pipe(z.array(natsServer).min(1)),
    undefined,
    'NATS servers with JetStream, with commas: the log of several nodes, instead of the embedded one.',
  ),
  natsUser: setting('PARLEY_NATS_USER', text, undefined, 'User at NATS.'),
  natsPassword: setting('PARLEY_NATS_PASSWORD', text, undefined, 'Its password.', { secret: true }),
  natsToken: setting('PARLEY_NATS_TOKEN', text, undefined, 'Token at NATS, instead of a user.', { secret: true }),
  natsNkey: setting('PARLEY_NATS_NKEY', text, undefined, "File with the seed of this node's nkey."),
  natsCreds: setting('PARLEY_NATS_CREDS', text, undefined, 'Credentials file (JWT and seed).'),
  natsCa: setting('PARLEY_NATS_CA', text, undefined, "File with the authority that signed NATS's certificate."),
  natsCert: setting('PARLEY_NATS_CERT', text, undefined, "File with this node's certificate for NATS."),
  natsKey: setting('PARLEY_NATS_KEY', text, undefined, 'File with its key.'),
  natsPrefix: setting(
    'PARLEY_NATS_PREFIX',
    z.string().regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, { error: 'must be 1 to 32 of a-z 0-9 _ -' }),
    'parley',
    'Begins the names of our streams and subjects: one for each installation.',
  ),
  natsReplicas: setting(
    'PARLEY_NATS_REPLICAS',
    whole(1, 5),
    1,
    'NATS servers that hold each entry; 3 for a cluster that may lose one.',
  ),
  natsPartitions: setting(
    'PARLEY_NATS_PARTITIONS',
    whole(1, 64),
    1,
    'Streams that sessions are spread over; cannot be changed later.',
  ),
  natsStorage: setting(
    'PARLEY_NATS_STORAGE',
    z.enum(['file', 'memory']),
    'file',
    'Where NATS keeps it: file or memory.',
  ),
  natsMaxBytes: setting(
    'PARLEY_NATS_MAX_BYTES',
    whole(1024 * 1024, 2 ** 50),
    undefined,
    'Bytes of entries beyond which NATS refuses more; unset: as much as it has room for.',
  ),
  ackWaitMs: setting(
    'PARLEY_ACK_WAIT_MS',
    whole(1_000, 600_000),
    5_000,
    'Milliseconds after which the run of a silent node goes to another.',
  ),
  cacheBytes: setting(
    'PARLEY_CACHE_BYTES',
    whole(1024 * 1024, 2 ** 40),
    256 * 1024 * 1024,
    'Bytes of recent entries that a node keeps in memory.',
  ),

  model: setting(
    'PARLEY_MODEL',
    text,
    undefined,
    'The default model: demo, openai:…, anthropic:…, google:…, compatible:…',
  ),
  models: setting(
    'PARLEY_MODELS',
    list,
    undefined,
    'Models that clients may choose, with commas; openai:* stands for all.',
  ),
  compatibleUrl: setting('PARLEY_COMPATIBLE_URL', url, undefined, 'Base URL of an OpenAI-compatible server.'),
  compatibleKey: setting('PARLEY_COMPATIBLE_KEY', text, undefined, 'Its key, where it wants one.', { secret: true }),
  system: setting('PARLEY_SYSTEM', text, undefined, "The model's standing instructions."),

  jwtSecret: setting('PARLEY_JWT_SECRET', text, undefined, 'Secret of HS256 tokens.', { secret: true }),
  jwtSecretFile: setting(
    'PARLEY_JWT_SECRET_FILE',
    text,
    undefined,
    'File with such secrets, one a line, any of which counts; it may change while the server runs.',
  ),
  jwksUrl: setting('PARLEY_JWKS_URL', url, undefined, 'Where the public keys of tokens are.'),
  jwtIssuer: setting('PARLEY_JWT_ISSUER', text, undefined, 'The issuer that tokens must name.'),
  jwtAudience: setting('PARLEY_JWT_AUDIENCE', text, undefined, 'The audience that tokens must name.'),
  jwtClockSkew: setting('PARLEY_JWT_CLOCK_SKEW', whole(0, 600), 5, 'Seconds by which clocks may differ.'),
  jwtUserClaim: setting('PARLEY_JWT_USER_CLAIM', text, 'sub', 'The claim that names the user.'),
  jwtNameClaim: setting('PARLEY_JWT_NAME_CLAIM', text, 'name', "The claim with the user's name for people."),
  jwtLimitsClaim: setting(
    'PARLEY_JWT_LIMITS_CLAIM',
    text,
    undefined,
    "The claim with the user's own limits; unset: tokens say nothing of them.",
  ),
  anonymous: setting(
    'PARLEY_ANONYMOUS',
    z.enum(['yes', 'no'], { error: 'must be yes or no' }),
    'no',
    'yes: without a token check others may use it from other machines, too, all as one user.',
  ),
  origins: setting(
    'PARLEY_ORIGINS',
    list.pipe(z.array(origin)),
    [] as string[],
    'Web origins that may connect, with commas; *: all.',
  ),

  retention: setting(
    'PARLEY_RETENTION',
    whole(1, 3650 * DAY_S),
    7 * DAY_S,
    'Seconds that the log keeps entries that a transcript covers.',
  ),
  retentionBytes: setting(
    'PARLEY_RETENTION_BYTES',
    whole(1024 * 1024, 2 ** 50),
    4 * 1024 ** 3,
    'Bytes that the log keeps at most.',
  ),
  logLevel: setting(
    'PARLEY_LOG_LEVEL',
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'info',
    'trace, debug, info, warn, error, fatal or silent.',
  ),
  metrics: setting(
    'PARLEY_METRICS',
    z.enum(['off', 'local', 'on'], { error: 'must be off, local or on' }),
    'local',
    'Who may read /metrics: nobody (off), programs on this machine (local), or all who reach the port (on).',
  ),
  metricsToken: setting(
    'PARLEY_METRICS_TOKEN',
    z.string().regex(/^[A-Za-z0-9._~+/=-]{16,512}$/, { error: 'must be 16 to 512 of A-Z a-z 0-9 . _ ~ + / = -' }),
    undefined,
    'Bearer token that /metrics then wants of everybody, wherever from.',
    { secret: true },
  ),
  prices: setting(
    'PARLEY_PRICES',
    z.union([text, PriceTable], { error: 'must be a table of prices, as JSON or a file with it' }),
    undefined,
    'What a million tokens cost, by model, for the metrics: JSON, or a file with it.',
  ),
  traces: setting(
    'PARLEY_TRACES',
    z.enum(['off', 'otlp'], { error: 'must be off or otlp' }),
    'off',
    'Whether spans are sent to an OpenTelemetry collector: off, or otlp (where to: OTEL_EXPORTER_OTLP_ENDPOINT).',
  ),
  experiment: setting(
    'PARLEY_EXPERIMENT',
    ExperimentForm,
    undefined,
    'Users by weight to doors that clients prefer, such as first-door: control=50:auto, sse-first=50:sse>websocket',
  ),
  drain: setting('PARLEY_DRAIN', whole(0, 3600), 10, 'Seconds that a stop gives runs and clients.'),

  maxConnections: setting('PARLEY_MAX_CONNECTIONS', whole(1, 1_000_000), 15_000, 'Connections at once.'),
  maxConnectionsPerAddress: setting(
    'PARLEY_MAX_CONNECTIONS_PER_ADDRESS',
    whole(1, 1_000_000),
    5_000,
    'Connections at once from one address.',
  ),
  helloMs: setting(
    'PARLEY_HELLO_MS',
    whole(1, 600_000),
    LIMITS.helloMs as number,
    'Milliseconds within which hello has to come.',
  ),
  heartbeatMs: setting(
    'PARLEY_HEARTBEAT_MS',
    whole(1_000, 300_000),
    15_000,
    'Milliseconds between signs of life; a connection silent for three times as long is dropped.',
  ),
  commandRate: setting(
    'PARLEY_COMMAND_RATE',
    whole(1, 1_000_000),
    100,
    'Commands a second of one connection, over time.',
  ),
  commandBurst: setting('PARLEY_COMMAND_BURST', whole(1, 1_000_000), 1_200, 'Commands at once of one connection.'),
  requestRate: setting(
    'PARLEY_REQUEST_RATE',
    whole(1, 1_000_000),
    1_000,
    'HTTP requests a second of one user, over time; of one address where all are anonymous.',
  ),
  requestBurst: setting('PARLEY_REQUEST_BURST', whole(1, 1_000_000), 5_000, 'HTTP requests at once of one user.'),
  userRate: setting(
    'PARLEY_USER_RATE',
    whole(1, 1_000_000),
    undefined,
    'Commands and requests a second of one user on this node, over all doors and connections; unset: no such bound.',
  ),
  userBurst: setting('PARLEY_USER_BURST', whole(1, 1_000_000), 1_200, 'As many at once.'),
  addressRate: setting(
    'PARLEY_ADDRESS_RATE',
    whole(1, 1_000_000),
    undefined,
    'The same of one address, of all who come from there; unset: no such bound.',
  ),
  addressBurst: setting('PARLEY_ADDRESS_BURST', whole(1, 1_000_000), 5_000, 'As many at once.'),
  trustedProxies: setting(
    'PARLEY_TRUSTED_PROXIES',
    list.pipe(z.array(z.string().refine(isNetwork, { error: 'must be networks such as 10.0.0.0/8, with commas' }))),
    [] as string[],
    'Proxies that say for whom they speak, by X-Forwarded-For or the PROXY protocol: addresses and networks, with commas.',
  ),
  bodyMs: setting('PARLEY_BODY_MS', whole(100, 600_000), 10_000, 'Milliseconds within which a body has to be here.'),
  maxSessions: setting(
    'PARLEY_MAX_SESSIONS',
    whole(1, 100_000),
    LIMITS.attachedSessions as number,
    'Sessions that one connection attaches.',
  ),
  outboxBytes: setting(
    'PARLEY_OUTBOX_BYTES',
    whole(4 * 1024, 64 * 1024 * 1024),
    256 * 1024,
    'Bytes unsent above which a connection has to catch up from the log.',
  ),
  stallMs: setting(
    'PARLEY_STALL_MS',
    whole(100, 3_600_000),
    60_000,
    'Milliseconds that a client may take nothing of what waits for it.',
  ),
  behindMs: setting('PARLEY_BEHIND_MS', whole(100, 86_400_000), 300_000, 'Milliseconds that a client may lag behind.'),

  userRuns: setting(
    'PARLEY_USER_RUNS',
    whole(1, 1_000_000),
    undefined,
    'Runs of one user that are not over, at once, on all nodes; unset: no such bound.',
  ),
  userBudget: setting(
    'PARLEY_BUDGET_USER',
    budget,
    undefined,
    'Tokens of one user over a time, such as 1000000/1d, on all nodes; unset: no such bound.',
  ),
  sessionBudget: setting('PARLEY_BUDGET_SESSION', budget, undefined, 'The same of one session.'),

  runConcurrency: setting(
    'PARLEY_RUNS',
    whole(1, 1_000_000),
    10_000,
    'Runs at once, with those that wait for their turn.',
  ),
  runSteps: setting('PARLEY_RUN_STEPS', whole(1, 1_000), 16, 'Model calls of one run.'),
  runTokens: setting('PARLEY_RUN_TOKENS', whole(1, 100_000_000), 32_768, 'Output tokens of one run.'),
  runMs: setting('PARLEY_RUN_MS', whole(1_000, 86_400_000), 30 * 60_000, 'Milliseconds that one run may take.'),
  firstTokenMs: setting(
    'PARLEY_FIRST_TOKEN_MS',
    whole(100, 3_600_000),
    60_000,
    'Milliseconds that a model may be silent at first.',
  ),
  betweenTokensMs: setting(
    'PARLEY_BETWEEN_TOKENS_MS',
    whole(100, 3_600_000),
    30_000,
    'Milliseconds that a model may be silent later.',
  ),
  leaseMs: setting(
    'PARLEY_LEASE_MS',
    whole(1_000, 3_600_000),
    30_000,
    "Milliseconds that a client's claim of a tool call holds.",
  ),
} as const

export type SettingKey = keyof typeof SETTINGS
export type Settings = { readonly [K in SettingKey]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never }

/** Variables with our prefix that others read: clients, and what finds the configuration file. */
export const FOREIGN_VARIABLES: ReadonlySet<string> = new Set(['PARLEY_CONFIG', 'PARLEY_URL', 'PARLEY_TOKEN'])

export function describeSettings(): string {
  const rows = Object.entries(SETTINGS).map(([key, { variable, help, fallback }]) => {
    const shown = fallback === undefined ? 'unset' : Array.isArray(fallback) ? fallback.join(',') || 'none' : fallback
    return `  ${variable.padEnd(36)}${key.padEnd(26)}${help} (${shown})`
  })
  return rows.join('\n')
}

function nodeName(host: string): string {
  return host.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 64) || 'node'
}
