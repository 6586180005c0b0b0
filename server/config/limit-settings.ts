// The settings that limit clients, users and runs.
import { LIMITS } from '@parley/protocol'
import { z } from 'zod'
import { isNetwork } from '../transports/http/client-address.ts'
import { budget, list, setting, whole } from './setting.ts'

export const connections = {
  maxConnections: setting('PARLEY_MAX_CONNECTIONS', whole(1, 1_000_000), 15_000, 'Maximum number of open connections.'),
  maxConnectionsPerAddress: setting(
    'PARLEY_MAX_CONNECTIONS_PER_ADDRESS',
    whole(1, 1_000_000),
    5_000,
    'Maximum number of open connections from one client address.',
  ),
  trustedProxies: setting(
    'PARLEY_TRUSTED_PROXIES',
    list.pipe(
      z.array(
        z
          .string()
          .refine(isNetwork, { error: 'must be addresses or networks such as 10.0.0.0/8, separated by commas' }),
      ),
    ),
    [] as string[],
    'Addresses and networks of trusted proxies, separated by commas. They name the client address by X-Forwarded-For or the PROXY protocol.',
  ),
  helloMs: setting(
    'PARLEY_HELLO_MS',
    whole(1, 600_000),
    LIMITS.helloMs as number,
    'Time within which a WebSocket client must send hello (ms).',
  ),
  bodyMs: setting(
    'PARLEY_BODY_MS',
    whole(100, 600_000),
    10_000,
    'Time within which each MiB of the body of a request must arrive (ms).',
  ),
  openAiBodyMax: setting(
    'PARLEY_OPENAI_BODY_MAX',
    whole(64 * 1024, 64 * 1024 * 1024),
    16 * 1024 * 1024,
    'Maximum size of a request to an OpenAI-compatible endpoint (bytes). Proxies have limits of their own.',
  ),
  bodiesMax: setting(
    'PARLEY_BODIES_MAX',
    whole(64 * 1024 * 1024, 64 * 1024 * 1024 * 1024),
    256 * 1024 * 1024,
    'Memory for all request bodies that are being received (bytes). Beyond it, requests are refused with 503. A quarter of it is for clients whose user is not known yet. Answers that their clients have not read may take as much again.',
  ),
  waitMax: setting(
    'PARLEY_WAIT_MAX',
    whole(1, 3600),
    600,
    'Maximum time that a request may wait for the end of its run or for new entries (s). Choose less than the timeout of the proxy.',
  ),
  heartbeatMs: setting(
    'PARLEY_HEARTBEAT_MS',
    whole(1_000, 300_000),
    15_000,
    'Interval of heartbeats on idle streams, and of pings on WebSockets (ms). A WebSocket that was silent for three intervals is closed.',
  ),
  maxSessions: setting(
    'PARLEY_MAX_SESSIONS',
    whole(1, 100_000),
    LIMITS.attachedSessions as number,
    'Maximum number of sessions attached over one WebSocket.',
  ),
  outboxBytes: setting(
    'PARLEY_OUTBOX_BYTES',
    whole(4 * 1024, 64 * 1024 * 1024),
    256 * 1024,
    'Unsent data of a connection beyond which the server stops sending until the client catches up from the log (bytes).',
  ),
  stallMs: setting(
    'PARLEY_STALL_MS',
    whole(100, 3_600_000),
    60_000,
    'Disconnect a client that accepts no data for this long (ms).',
  ),
  behindMs: setting(
    'PARLEY_BEHIND_MS',
    whole(100, 86_400_000),
    300_000,
    'Disconnect a client that stays behind the log for this long (ms).',
  ),
} as const

export const rates = {
  commandRate: setting(
    'PARLEY_COMMAND_RATE',
    whole(1, 1_000_000),
    100,
    'Sustained commands per second over one WebSocket.',
  ),
  commandBurst: setting('PARLEY_COMMAND_BURST', whole(1, 1_000_000), 1_200, 'Commands over one WebSocket in a burst.'),
  requestRate: setting(
    'PARLEY_REQUEST_RATE',
    whole(1, 1_000_000),
    1_000,
    'Sustained HTTP requests per second of one user; without authentication, of one client address.',
  ),
  requestBurst: setting(
    'PARLEY_REQUEST_BURST',
    whole(1, 1_000_000),
    5_000,
    'HTTP requests of one user in a burst; without authentication, of one client address.',
  ),
  userRate: setting(
    'PARLEY_USER_RATE',
    whole(1, 1_000_000),
    undefined,
    'Sustained commands and requests per second of one user on this node, over all transports and connections. Unset: no limit.',
  ),
  userBurst: setting(
    'PARLEY_USER_BURST',
    whole(1, 1_000_000),
    1_200,
    'Commands and requests of one user in a burst. Applies with PARLEY_USER_RATE.',
  ),
  addressRate: setting(
    'PARLEY_ADDRESS_RATE',
    whole(1, 1_000_000),
    undefined,
    'Sustained commands and requests per second from one client address on this node, over all users. Unset: no limit.',
  ),
  addressBurst: setting(
    'PARLEY_ADDRESS_BURST',
    whole(1, 1_000_000),
    5_000,
    'Commands and requests from one client address in a burst. Applies with PARLEY_ADDRESS_RATE.',
  ),
} as const

export const budgets = {
  userRuns: setting(
    'PARLEY_USER_RUNS',
    whole(1, 1_000_000),
    undefined,
    'Maximum number of queued and active runs of one user, over all nodes. Unset: half of PARLEY_RUNS if the server checks access tokens, otherwise no limit.',
  ),
  userBudget: setting(
    'PARLEY_BUDGET_USER',
    budget,
    undefined,
    'Tokens that one user may use in a time window, such as 1000000/1d, over all nodes. Unset: no limit.',
  ),
  sessionBudget: setting(
    'PARLEY_BUDGET_SESSION',
    budget,
    undefined,
    'Tokens that one session may use in a time window, such as 1000000/1d, over all nodes. Unset: no limit.',
  ),
} as const

export const runs = {
  runConcurrency: setting(
    'PARLEY_RUNS',
    whole(1, 1_000_000),
    10_000,
    'Maximum number of runs that this node drives at a time. Up to nine times as many may wait for an earlier run of their session, for an approval, or for a tool.',
  ),
  runSteps: setting('PARLEY_RUN_STEPS', whole(1, 1_000), 16, 'Maximum number of model calls in one run.'),
  runTokens: setting('PARLEY_RUN_TOKENS', whole(1, 100_000_000), 32_768, 'Maximum number of output tokens of one run.'),
  runMs: setting('PARLEY_RUN_MS', whole(1_000, 86_400_000), 30 * 60_000, 'Maximum duration of one run (ms).'),
  runDepth: setting(
    'PARLEY_RUN_DEPTH',
    whole(1, 16),
    4,
    'Maximum levels of [agents that agents ask](agents.md), below the agent that answers a message.',
  ),
  runChildren: setting(
    'PARLEY_RUN_CHILDREN',
    whole(0, 1_000),
    16,
    'Maximum number of runs of agents that agents ask for one message, at all levels together. 0: none.',
  ),
  firstTokenMs: setting(
    'PARLEY_FIRST_TOKEN_MS',
    whole(100, 3_600_000),
    60_000,
    'Maximum time until the first output of a model call (ms).',
  ),
  betweenTokensMs: setting(
    'PARLEY_BETWEEN_TOKENS_MS',
    whole(100, 3_600_000),
    30_000,
    'Maximum time between two outputs of a model call (ms).',
  ),
  leaseMs: setting(
    'PARLEY_LEASE_MS',
    whole(1_000, 3_600_000),
    30_000,
    "Time after which a client's claim of a tool call expires unless the client renews it (ms).",
  ),
} as const
