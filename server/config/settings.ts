// The table of all settings, by topic. `--help`, docs/configuration.md and the checks of config.ts are generated from it.
// A setting's key in a configuration file is its key here.
import { hostname } from 'node:os'
import { z } from 'zod'
import { KEEP_S } from '../auth/key-set.ts'
import { isSecret, SECRET_RULE } from '../auth/secret-file.ts'
import { ExperimentForm } from '../experiment/experiment-plan.ts'
import { PriceTable } from '../metric/prices.ts'
import { DIALECTS } from '../model/continuation.ts'
import { parseListenAddress } from '../transports/http/listen-address.ts'
import { budgets, connections, rates, runs } from './limit-settings.ts'
import { relay } from './relay-settings.ts'
import { list, type Setting, setting, text, whole, yesOrNo } from './setting.ts'

const DAY_S = 24 * 60 * 60

const url = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })
const origin = z.string().refine((item) => item === '*' || (URL.canParse(item) && new URL(item).origin === item), {
  error: 'must be origins such as https://chat.example.com, or *',
})
const natsServer = z.string().regex(/^(?:(?:nats|tls):\/\/)?[^\s/,]+$/, {
  error: 'must be NATS servers such as nats://10.0.0.1:4222, separated by commas',
})

const server = {
  host: setting(
    'PARLEY_HOST',
    text,
    '127.0.0.1',
    'Address to listen on. Beyond loopback, a node that serves clients needs a token check or PARLEY_ANONYMOUS=yes.',
  ),
  port: setting('PARLEY_PORT', whole(0, 65_535), 8080, 'Port to listen on. 0 picks a free port.'),
  sharePort: setting(
    'PARLEY_SHARE_PORT',
    yesOrNo,
    'no',
    'yes: several nodes on this machine listen on the same port, and the kernel distributes the connections. Needs NATS.',
  ),
  role: setting(
    'PARLEY_ROLE',
    z.enum(['all', 'gateway', 'worker', 'relay']),
    'all',
    'What this process does: all, gateway (serves clients, drives no runs), worker (drives runs, serves no clients) or relay (holds the responses of model providers, so that runs survive the process that drives them). gateway and worker need NATS.',
  ),
  node: setting(
    'PARLEY_NODE',
    z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, { error: 'must be 1 to 64 of A-Z a-z 0-9 _ -' }),
    nodeName(hostname()),
    'Name of this node in logs, metrics and traces. Choose a different name for each node.',
  ),
  data: setting('PARLEY_DATA', text, './data', 'Folder of the embedded log, on a local file system. Unused with NATS.'),
  drain: setting(
    'PARLEY_DRAIN',
    whole(0, 3600),
    10,
    'Time that clients and active runs get when the server stops (s).',
  ),
} as const

const access = {
  jwtSecret: setting(
    'PARLEY_JWT_SECRET',
    text.refine(isSecret, { error: SECRET_RULE }),
    undefined,
    'Secret of at least 32 bytes that verifies access tokens (HS256).',
    { secret: true },
  ),
  credentialsKey: setting(
    'PARLEY_CREDENTIALS_KEY',
    text.refine(isSecret, { error: SECRET_RULE }),
    undefined,
    'Secret of at least 32 bytes that encrypts claims of access tokens for MCP servers and remote agents while a run is queued, and signs the session ids of /mcp. The same on all nodes. Default: ids are signed with the secret of the access tokens, and without NATS claims are encrypted with a new key at each start.',
    { secret: true },
  ),
  jwtSecretFile: setting(
    'PARLEY_JWT_SECRET_FILE',
    text,
    undefined,
    'Path of a file with secrets of at least 32 bytes that verify access tokens (HS256), one per line. Any of them is valid. The server re-reads the file when it changes.',
  ),
  jwksUrl: setting('PARLEY_JWKS_URL', url, undefined, 'URL of the public keys (JWKS) that verify access tokens.'),
  jwksKeep: setting(
    'PARLEY_JWKS_KEEP',
    whole(300, 30 * DAY_S),
    KEEP_S,
    'Time for which the server uses the keys that it knows while PARLEY_JWKS_URL cannot be read (s).',
  ),
  jwtIssuer: setting('PARLEY_JWT_ISSUER', text, undefined, 'Issuer (iss) that access tokens must have. Unset: any.'),
  jwtAudience: setting(
    'PARLEY_JWT_AUDIENCE',
    text,
    undefined,
    'Audience (aud) that access tokens must have. Unset: any.',
  ),
  jwtClockSkew: setting(
    'PARLEY_JWT_CLOCK_SKEW',
    whole(0, 600),
    5,
    'Tolerated difference between clocks when the server checks the validity of access tokens (s).',
  ),
  jwtUserClaim: setting('PARLEY_JWT_USER_CLAIM', text, 'sub', 'Claim of the access token that contains the user id.'),
  jwtNameClaim: setting(
    'PARLEY_JWT_NAME_CLAIM',
    text,
    'name',
    'Claim of the access token that contains the display name of the user.',
  ),
  jwtRoleClaim: setting(
    'PARLEY_JWT_ROLE_CLAIM',
    text,
    'parley_role',
    'Claim of the access token that limits what it allows in any session: owner, editor, approver or viewer. Without the claim, the role in the session alone decides.',
  ),
  jwtLimitsClaim: setting(
    'PARLEY_JWT_LIMITS_CLAIM',
    text,
    undefined,
    'Claim of the access token that contains limits for this user. Unset: access tokens set no limits.',
  ),
  anonymous: setting(
    'PARLEY_ANONYMOUS',
    yesOrNo,
    'no',
    'yes: serve clients on other machines without access tokens. All of them share one user.',
  ),
  origins: setting(
    'PARLEY_ORIGINS',
    list.pipe(z.array(origin)),
    [] as string[],
    "Origins of web pages that may connect, separated by commas; * allows all. The server's own chat page needs no entry if the server checks access tokens and a proxy passes on the Host header.",
  ),
  mcp: setting(
    'PARLEY_MCP',
    yesOrNo,
    'yes',
    'Whether clients of the Model Context Protocol can ask the agents at /mcp, with the same access tokens and rights as over any other transport.',
  ),
  mcpUrl: setting(
    'PARLEY_MCP_URL',
    url,
    undefined,
    'Public URL of /mcp, such as https://chat.example.com/mcp. The server then tells MCP clients to get their access tokens from PARLEY_JWT_ISSUER, and takes only tokens there whose audience (aud) is this URL. Needs PARLEY_JWT_AUDIENCE for everything else.',
  ),
} as const

const models = {
  model: setting(
    'PARLEY_MODEL',
    text,
    undefined,
    'Default model: openai:…, anthropic:…, google:…, compatible:… or demo. Unset: the first one in PARLEY_MODELS, otherwise demo.',
  ),
  models: setting(
    'PARLEY_MODELS',
    list,
    undefined,
    'Models that clients may choose, separated by commas. openai:* allows all models of a provider.',
  ),
  thinkModels: setting(
    'PARLEY_THINK_MODELS',
    list,
    undefined,
    'Models that write their reasoning as <think>…</think> at the beginning of an answer, separated by commas; compatible:* for all of a provider. It is then shown as reasoning.',
  ),
  thinkOpenedModels: setting(
    'PARLEY_THINK_OPENED_MODELS',
    list,
    undefined,
    'As PARLEY_THINK_MODELS, for models whose chat template already contains <think>: the text of an answer before </think> is reasoning.',
  ),
  nullContentModels: setting(
    'PARLEY_NULL_CONTENT_MODELS',
    list,
    undefined,
    'compatible:… models whose server refuses an empty content beside tool calls and takes null, separated by commas; compatible:* for all. Gemini models get null in any case.',
  ),
  contextTokens: setting(
    'PARLEY_CONTEXT_TOKENS',
    z.union([z.int().transform((tokens) => [String(tokens)]), list]),
    undefined,
    'Context windows of models (tokens of a request and its answer): a number for all, or items such as compatible:llama-3=8192 and openai:*=400000, separated by commas. Unset: the known window of the model family, otherwise 100000. The oldest turns beyond it are left out.',
  ),
  compatibleUrl: setting(
    'PARLEY_COMPATIBLE_URL',
    url,
    undefined,
    'Base URL of an OpenAI-compatible server, for compatible:… models.',
  ),
  compatibleKey: setting(
    'PARLEY_COMPATIBLE_KEY',
    text,
    undefined,
    'API key for PARLEY_COMPATIBLE_URL, if it needs one.',
    { secret: true },
  ),
  compatiblePrefill: setting(
    'PARLEY_COMPATIBLE_PREFILL',
    z.union([
      list,
      z.record(text, z.enum(DIALECTS)).transform((dialects) => Object.entries(dialects).map((pair) => pair.join('='))),
    ]),
    undefined,
    'How models continue an answer that broke off, if no relay has it: none, exact (a trailing assistant message is continued), continue_final_message (vLLM, SGLang), prefix (Mistral, DeepSeek), partial (Qwen, Kimi) or ask (a message asks for the rest); for all compatible:… models, or as items such as compatible:llama-3=exact and openai:*=ask, separated by commas.',
  ),
  system: setting('PARLEY_SYSTEM', text, undefined, 'System prompt of runs whose agent has none.'),
} as const

const nats = {
  natsUrl: setting(
    'PARLEY_NATS_URL',
    list.pipe(z.array(natsServer).min(1)),
    undefined,
    'URLs of NATS servers with JetStream, separated by commas. Unset: the server uses the embedded log.',
  ),
  natsUser: setting('PARLEY_NATS_USER', text, undefined, 'User name for NATS.'),
  natsPassword: setting('PARLEY_NATS_PASSWORD', text, undefined, 'Password of PARLEY_NATS_USER.', { secret: true }),
  natsToken: setting('PARLEY_NATS_TOKEN', text, undefined, 'Token for NATS, instead of a user name and password.', {
    secret: true,
  }),
  natsNkey: setting('PARLEY_NATS_NKEY', text, undefined, 'Path of a file with the nkey seed of this node for NATS.'),
  natsCreds: setting('PARLEY_NATS_CREDS', text, undefined, 'Path of a NATS credentials file (JWT and seed).'),
  natsCa: setting(
    'PARLEY_NATS_CA',
    text,
    undefined,
    'Path of the CA certificate that verifies the certificate of NATS.',
  ),
  natsCert: setting(
    'PARLEY_NATS_CERT',
    text,
    undefined,
    'Path of the TLS client certificate of this node for NATS. Needs PARLEY_NATS_KEY.',
  ),
  natsKey: setting('PARLEY_NATS_KEY', text, undefined, 'Path of the private key of PARLEY_NATS_CERT.'),
  natsPrefix: setting(
    'PARLEY_NATS_PREFIX',
    z.string().regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, { error: 'must be 1 to 32 of a-z 0-9 _ -' }),
    'parley',
    'Prefix of all stream names and subjects in NATS. Installations that share one NATS need different prefixes.',
  ),
  natsReplicas: setting(
    'PARLEY_NATS_REPLICAS',
    whole(1, 5),
    1,
    'Number of NATS servers that store each entry. 3 tolerates the loss of one server.',
  ),
  natsPartitions: setting(
    'PARLEY_NATS_PARTITIONS',
    whole(1, 64),
    1,
    'Number of streams that sessions are spread over. It cannot be changed after the first start.',
  ),
  natsStorage: setting(
    'PARLEY_NATS_STORAGE',
    z.enum(['file', 'memory']),
    'file',
    'Storage of the streams: file or memory. With memory, everything is lost when all NATS servers stop.',
  ),
  natsMaxBytes: setting(
    'PARLEY_NATS_MAX_BYTES',
    whole(1024 * 1024, 2 ** 50),
    undefined,
    'Size of all session entries in NATS beyond which NATS refuses new ones (bytes). Unset: only the limits of NATS apply.',
  ),
  ackWaitMs: setting(
    'PARLEY_ACK_WAIT_MS',
    whole(1_000, 600_000),
    5_000,
    'Time without a heartbeat after which NATS gives a run to another node (ms). The last resort: see PARLEY_NODE_TIMEOUT_MS. NATS only.',
  ),
  nodeTimeoutMs: setting(
    'PARLEY_NODE_TIMEOUT_MS',
    whole(1_500, 600_000),
    2_000,
    'Silence after which other nodes take over the runs of a frozen or unreachable node (ms). Runs of a killed node are taken over sooner. NATS only.',
  ),
  cacheBytes: setting(
    'PARLEY_CACHE_BYTES',
    whole(1024 * 1024, 2 ** 40),
    256 * 1024 * 1024,
    'Memory for recent log entries (bytes). NATS only.',
  ),
} as const

const retention = {
  retention: setting(
    'PARLEY_RETENTION',
    whole(1, 3650 * DAY_S),
    7 * DAY_S,
    'Time that the log keeps entries that a transcript covers (s).',
  ),
  retentionBytes: setting(
    'PARLEY_RETENTION_BYTES',
    whole(1024 * 1024, 2 ** 50),
    4 * 1024 ** 3,
    'Size of the log beyond which the server deletes the oldest entries that a transcript covers (bytes).',
  ),
} as const

const observability = {
  logLevel: setting(
    'PARLEY_LOG_LEVEL',
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'info',
    'Lowest level to log: trace, debug, info, warn, error, fatal or silent.',
  ),
  metrics: setting(
    'PARLEY_METRICS',
    z.enum(['off', 'on'], { error: 'must be off or on; instead of local, set PARLEY_METRICS_LISTEN=127.0.0.1:9464' }),
    undefined,
    'Whether to measure: on (needs PARLEY_METRICS_LISTEN or PARLEY_METRICS_TOKEN) or off. Unset: on if one of these is set.',
  ),
  metricsListen: setting(
    'PARLEY_METRICS_LISTEN',
    text.refine((address) => parseListenAddress(address) !== undefined, {
      error: 'must be an address and a port, such as 127.0.0.1:9464',
    }),
    undefined,
    'Address and port of its own for /metrics, such as 127.0.0.1:9464; the port of the clients then does not serve it. Choose an address that only Prometheus reaches.',
  ),
  metricsToken: setting(
    'PARLEY_METRICS_TOKEN',
    z.string().regex(/^[A-Za-z0-9._~+/=-]{16,512}$/, { error: 'must be 16 to 512 of A-Z a-z 0-9 . _ ~ + / = -' }),
    undefined,
    'Bearer token that every reader of /metrics must send. Without PARLEY_METRICS_LISTEN, the port of the clients serves /metrics with it.',
    { secret: true },
  ),
  prices: setting(
    'PARLEY_PRICES',
    z.union([text, PriceTable], { error: 'must be a price table: JSON, or the path of a JSON file' }),
    undefined,
    'Prices per million tokens by model, for the cost metric: JSON, or the path of a JSON file.',
  ),
  traces: setting(
    'PARLEY_TRACES',
    z.enum(['off', 'otlp'], { error: 'must be off or otlp' }),
    'off',
    'Whether to send OpenTelemetry spans: off, or otlp (to the collector at OTEL_EXPORTER_OTLP_ENDPOINT).',
  ),
  experiment: setting(
    'PARLEY_EXPERIMENT',
    ExperimentForm,
    undefined,
    'Transports that the SDK prefers, by weighted groups of users, such as first-door: control=50:auto, sse-first=50:sse>websocket',
  ),
} as const

export const TOPICS: Readonly<Record<string, Readonly<Record<string, Setting<unknown>>>>> = {
  Server: server,
  Access: access,
  Models: models,
  Relay: relay,
  NATS: nats,
  Retention: retention,
  Observability: observability,
  Connections: connections,
  Rates: rates,
  'Users and budgets': budgets,
  Runs: runs,
}

export const SETTINGS = {
  ...server,
  ...access,
  ...models,
  ...relay,
  ...nats,
  ...retention,
  ...observability,
  ...connections,
  ...rates,
  ...budgets,
  ...runs,
} as const

export type SettingKey = keyof typeof SETTINGS
export type Settings = { readonly [K in SettingKey]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never }

/** Variables with the same prefix that are not settings: clients and the search for the configuration file use them. */
export const FOREIGN_VARIABLES: ReadonlySet<string> = new Set(['PARLEY_CONFIG', 'PARLEY_URL', 'PARLEY_TOKEN'])

export function describeSettings(): string {
  const topics = Object.entries(TOPICS).map(([topic, settings]) => {
    const rows = Object.entries(settings).map(([key, { variable, help, fallback }]) => {
      return `  ${variable.padEnd(36)}${key.padEnd(26)}${shownDefault(fallback)}\n      ${help}`
    })
    return [`${topic}:`, ...rows].join('\n')
  })
  return topics.join('\n\n')
}

function shownDefault(fallback: unknown): string {
  if (fallback === undefined) return 'unset'
  return Array.isArray(fallback) ? fallback.join(',') || 'none' : String(fallback)
}

function nodeName(host: string): string {
  return host.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 64) || 'node'
}
