// Where settings come from, and how a wrong one aborts the start.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createServer } from '../create-server.ts'
import { type Config, ConfigError, checkConfig, loadConfig } from './config.ts'
import { describeSettings, SETTINGS } from './settings.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-config-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const load = (env: Record<string, string> = {}) => loadConfig(env, folder)
const put = (name: string, text: string) => writeFileSync(join(folder, name), text)

async function problems(env: Record<string, string> = {}): Promise<readonly string[]> {
  const error: unknown = await load(env).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof ConfigError) return error.problems
  throw error ?? new Error('the configuration was accepted')
}

test('without settings, the documented defaults apply', async () => {
  expect(await load()).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    data: './data',
    role: 'all',
    origins: [],
    model: undefined,
    jwtSecret: undefined,
    helloMs: 10_000,
    maxSessions: 1_000,
    retention: 604_800,
    file: undefined,
    tools: [],
  })
})

test('the environment overrides the file, and the file overrides the defaults', async () => {
  put('parley.config.json', '{"port": 1, "host": "::1", "origins": ["https://a.example"]}')
  const config = await load({ PARLEY_PORT: '0', PARLEY_MODELS: 'demo, openai:gpt-5', PARLEY_HOST: '' })
  expect(config).toMatchObject({
    port: 0,
    host: '::1',
    origins: ['https://a.example'],
    models: ['demo', 'openai:gpt-5'],
    file: 'parley.config.json',
  })
})

test('MCP servers have the form of other hosts, and need what their claims need', async () => {
  const mail = { url: 'https://mail.example/mcp', headers: { Authorization: 'Bearer {claim:mail}' } }
  put('parley.config.json', JSON.stringify({ mcpServers: { mail, git: { command: 'git-mcp' } } }))
  expect(await problems({ PARLEY_NATS_URL: 'nats://x' })).toEqual([
    'mcpServers in parley.config.json has headers with claims, so it needs PARLEY_JWT_SECRET, PARLEY_JWT_SECRET_FILE or PARLEY_JWKS_URL.',
    'mcpServers in parley.config.json has headers with claims, so it needs PARLEY_CREDENTIALS_KEY, the same on all nodes.',
  ])
  expect(await problems({ PARLEY_NATS_URL: 'nats://x', PARLEY_JWKS_URL: 'https://id.example/keys' })).toHaveLength(1)
  const config = await load({ PARLEY_JWKS_URL: 'https://id.example/keys' })
  expect(config.mcpServers).toEqual({ mail, git: { command: 'git-mcp' } })
  put('parley.config.json', JSON.stringify({ mcpServers: { a: mail, a_b: mail, c: { command: 'x', arg: [] } } }))
  expect(await problems()).toEqual(['mcpServers in parley.config.json at c is invalid: Unrecognized key: "arg".'])
})

test('PARLEY_MCP_URL needs an audience for everything else, and one key for all nodes', async () => {
  const env = {
    PARLEY_MCP_URL: 'https://chat.example/mcp',
    PARLEY_JWKS_URL: 'https://id.example/keys',
    PARLEY_JWT_ISSUER: 'https://id.example',
  }
  const audience = { PARLEY_JWT_AUDIENCE: 'https://chat.example' }
  expect(await problems(env)).toEqual([
    'PARLEY_MCP_URL needs PARLEY_JWT_AUDIENCE, the audience of the access tokens for everything but /mcp.',
  ])
  expect(await load({ ...env, ...audience })).toMatchObject({ mcpUrl: 'https://chat.example/mcp' })
  const nats = { ...env, ...audience, PARLEY_NATS_URL: 'nats://x' }
  expect(await problems(nats)).toEqual([
    'PARLEY_MCP_URL with PARLEY_JWKS_URL and PARLEY_NATS_URL needs PARLEY_CREDENTIALS_KEY, the same on all nodes: it signs the ids of MCP sessions.',
  ])
  await load({ ...nats, PARLEY_CREDENTIALS_KEY: 'a secret of thirty-two characters' })
  expect(await problems({ ...env, ...audience, PARLEY_MCP_URL: 'https://chat.example/a:b/*' })).toEqual([
    'PARLEY_MCP_URL must not have : or * in its path.',
  ])
})

test('a secret of less than 32 bytes is refused, with the command that creates one', async () => {
  // RFC 7518, section 3.2. Bytes count, not characters.
  const rule = 'must be text of at least 32 bytes. To create one, run: openssl rand -hex 32.'
  expect(await problems({ PARLEY_JWT_SECRET: 'x'.repeat(31) })).toEqual([`PARLEY_JWT_SECRET ${rule}`])
  expect(await load({ PARLEY_JWT_SECRET: 'é'.repeat(16) })).toMatchObject({ jwtSecret: 'é'.repeat(16) })
  put('parley.config.json', '{"jwtSecret": "x"}')
  expect(await problems()).toEqual([`jwtSecret in parley.config.json ${rule}`])
  // Bytes that are not UTF-8 reach the process as U+FFFD, so anybody would know the secret.
  expect(await problems({ PARLEY_JWT_SECRET: '\ufffd'.repeat(16) })).toContain(`PARLEY_JWT_SECRET ${rule}`)
})

test('a blank variable, or a secret that a module leaves undefined, does not count as unset', async () => {
  expect(await problems({ PARLEY_JWT_SECRET: '  ' })).toEqual([
    'PARLEY_JWT_SECRET is blank: remove it, or give it a value.',
  ])
  expect(await load({ PARLEY_JWT_SECRET: '' })).toMatchObject({ jwtSecret: undefined })
  put('other.mjs', 'export default { port: process.env.NONE, jwksUrl: process.env.NONE, jwtSecret: process.env.NONE }')
  expect(await problems({ PARLEY_CONFIG: 'other.mjs' })).toEqual([
    'jwtSecret in other.mjs is undefined: remove it, or give it a value.',
    'jwksUrl in other.mjs is undefined: remove it, or give it a value.',
  ])
})

test('an invalid experiment is refused with its problem, in the environment and in a file', async () => {
  const { experiment } = await load({ PARLEY_EXPERIMENT: 'x: a=1:auto, b=3:sse>poll' })
  expect(experiment?.variants[1]).toEqual({ name: 'b', weight: 3, doors: ['sse', 'poll'] })
  expect(await problems({ PARLEY_EXPERIMENT: 'x: a=1:auto' })).toEqual([
    'PARLEY_EXPERIMENT must have at least two variants.',
  ])
  put('parley.config.json', '{"experiment": {"name": "x"}}')
  expect(await problems()).toEqual([
    'experiment in parley.config.json must have the form first-door: control=50:auto, sse-first=50:sse.',
  ])
})

test('PARLEY_CONFIG names a module elsewhere, which may contain agents', async () => {
  put('other.mjs', "export default { model: 'demo', agents: { poet: { system: 'You rhyme.' } } }")
  const config = await load({ PARLEY_CONFIG: 'other.mjs' })
  expect(config.model).toBe('demo')
  expect(config.agents.get('poet')).toEqual({ system: 'You rhyme.' })
})

describe('aborts the start and names', () => {
  const wrong: [Record<string, string>, RegExp][] = [
    [{ PARLEY_PROT: '1' }, /^PARLEY_PROT is not a setting/],
    [{ PARLEY_PORT: 'http' }, /^PARLEY_PORT must be a whole number from 0 to 65535\.$/],
    [{ PARLEY_PORT: '65536' }, /^PARLEY_PORT must be/],
    [{ PARLEY_PORT: '-1' }, /^PARLEY_PORT must be/],
    [{ PARLEY_PORT: '1.5' }, /^PARLEY_PORT must be/],
    [{ PARLEY_NODE: 'a b' }, /^PARLEY_NODE must be/],
    [{ PARLEY_ROLE: 'king' }, /^PARLEY_ROLE /],
    [{ PARLEY_ROLE: 'gateway' }, /^PARLEY_ROLE=gateway needs PARLEY_NATS_URL/],
    [{ PARLEY_SHARE_PORT: 'yes' }, /^PARLEY_SHARE_PORT=yes needs PARLEY_NATS_URL/],
    [
      { PARLEY_SHARE_PORT: 'yes', PARLEY_PORT: '0', PARLEY_NATS_URL: 'nats://x' },
      /^PARLEY_SHARE_PORT=yes needs a PARLEY_PORT/,
    ],
    [
      { PARLEY_SHARE_PORT: 'yes', PARLEY_ROLE: 'worker', PARLEY_NATS_URL: 'nats://x' },
      /^PARLEY_SHARE_PORT=yes is not available with PARLEY_ROLE=worker/,
    ],
    [{ PARLEY_NATS_URL: 'http://x:4222' }, /^PARLEY_NATS_URL at 0 must be NATS servers such as/],
    [
      { PARLEY_NATS_URL: 'nats://x', PARLEY_NATS_USER: 'u', PARLEY_NATS_TOKEN: 't' },
      /^PARLEY_NATS_USER and PARLEY_NATS_TOKEN cannot both be set/,
    ],
    [{ PARLEY_NATS_URL: 'nats://x', PARLEY_NATS_PASSWORD: 'p' }, /^PARLEY_NATS_PASSWORD needs PARLEY_NATS_USER/],
    [
      { PARLEY_NATS_URL: 'nats://x', PARLEY_NATS_CERT: 'c' },
      /^PARLEY_NATS_CERT and PARLEY_NATS_KEY must be set together/,
    ],
    [{ PARLEY_NATS_PREFIX: 'A.b' }, /^PARLEY_NATS_PREFIX must be 1 to 32 of a-z/],
    [{ PARLEY_LOG_LEVEL: 'loud' }, /^PARLEY_LOG_LEVEL /],
    [{ PARLEY_ORIGINS: 'https://a.example/path' }, /^PARLEY_ORIGINS at 0 must be origins/],
    [{ PARLEY_JWKS_URL: 'keys' }, /^PARLEY_JWKS_URL must be an http or https URL/],
    [{ PARLEY_JWT_SECRET: 's'.repeat(32), PARLEY_JWKS_URL: 'http://x' }, /cannot both be set/],
    [
      { PARLEY_JWT_SECRET: 's'.repeat(32), PARLEY_ANONYMOUS: 'yes' },
      /PARLEY_ANONYMOUS and PARLEY_JWT_SECRET contradict/,
    ],
    [{ PARLEY_ANONYMOUS: 'perhaps' }, /PARLEY_ANONYMOUS must be yes or no/],
    [{ PARLEY_CONFIG: 'nowhere.json' }, /^PARLEY_CONFIG names nowhere\.json/],
  ]
  for (const [env, message] of wrong) {
    test(JSON.stringify(env), async () => {
      expect(await problems(env)).toEqual([expect.stringMatching(message)])
    })
  }

  test('unknown and invalid keys of a file', async () => {
    put('parley.config.json', '{"prot": 1, "port": "x"}')
    expect(await problems()).toEqual([
      'prot in parley.config.json is not a setting of this server.',
      'port in parley.config.json must be a whole number from 0 to 65535.',
    ])
  })

  test('a file that is not JSON, is not an object, or throws', async () => {
    const wrong: readonly (readonly [string, string])[] = [
      ['', 'line 1, column 1'],
      ['{', 'line 1, column 2'],
      ['{"port": 1,\n "jwtSecret": geheim}', 'line 2, column 15'],
      ['{"port": 1,\n "jwtSecret": "geheim", }', 'line 2, column 25'],
      ['{"jwtSecret": "geheim" "port": 1}', 'line 1, column 24'],
      ['["geheim", 01]', 'line 1, column 13'],
      ['{"jwtSecret": "\\geheim"}', 'line 1, column 17'],
    ]
    for (const [text, position] of wrong) {
      put('parley.config.json', text)
      expect(await problems()).toEqual([`parley.config.json is not valid JSON: error at ${position}.`])
    }
    put('parley.config.json', '[]')
    expect(await problems()).toEqual(['parley.config.json must contain an object of settings.'])
    put('parley.config.mjs', "throw new Error('broken')")
    expect(await problems()).toEqual(['parley.config.mjs cannot be loaded: broken.'])
  })

  test('tools that were not made by defineTool', async () => {
    put('parley.config.mjs', "export default { tools: [{ name: 'x' }] }")
    expect(await problems()).toEqual([expect.stringMatching(/^tools in parley\.config\.mjs at 0 must be made by/)])
  })

  test('all problems at once, without their values', async () => {
    const found = await problems({ PARLEY_PORT: 'geheim', PARLEY_X: 'geheim' })
    expect(found).toHaveLength(2)
    expect(found.join()).not.toContain('geheim')
  })
})

test('variables of clients are ignored', async () => {
  await load({ PARLEY_URL: 'http://x', PARLEY_TOKEN: 't', OTHER: '1' })
})

test('--help describes every setting', () => {
  const text = describeSettings()
  for (const [key, { variable }] of Object.entries(SETTINGS)) {
    expect(text).toContain(variable)
    expect(text).toContain(key)
  }
})

// createServer took `{ ...config, jwtSecret: 'x' }`: only loadConfig checked settings.
describe('a configuration that a program has made', () => {
  const refused = async (changes: Partial<Config>): Promise<readonly string[]> => {
    try {
      checkConfig({ ...(await load()), ...changes })
    } catch (error) {
      if (error instanceof ConfigError) return error.problems
      throw error
    }
    return []
  }

  test('is checked like variables and files, before the server starts', async () => {
    const secret = 'jwtSecret must be text of at least 32 bytes. To create one, run: openssl rand -hex 32.'
    expect(await refused({ jwtSecret: 'x' })).toEqual([secret])
    expect(await refused({ credentialsKey: 'x' })).toHaveLength(1)
    expect(await refused({ port: 70_000, role: 'worker' })).toHaveLength(2)
    expect(await refused({ tools: [{ name: 'x' } as never] })).toEqual(['tools at 0 must be made by defineTool.'])
    expect(await refused({ bodiesMax: 1 })).toHaveLength(1)
    const config = { ...(await load()), jwtSecret: 'x' }
    await expect(createServer(config, pino({ enabled: false }))).rejects.toEqual(new ConfigError([secret]))
  })

  test('is accepted with every value that a variable can have', async () => {
    const config = await load({
      PARLEY_EXPERIMENT: 'first-door: control=50:auto, sse-first=50:sse>websocket',
      PARLEY_BUDGET_USER: '1000/1d',
      PARLEY_CONTEXT_TOKENS: '8192',
      PARLEY_NATS_URL: 'nats://a:1,nats://b:2',
      PARLEY_ORIGINS: '*',
      PARLEY_PRICES: '{}',
      PARLEY_TRUSTED_PROXIES: '10.0.0.0/8, 127.0.0.1',
    })
    expect(() => checkConfig(config)).not.toThrow()
  })
})

test('agents name each other, and every wrong name stops the start', async () => {
  const agents = {
    lead: { agents: ['researcher', 'nobody', 'a b'], handoff: ['lead', 'support'], limits: { steps: 2 } },
    researcher: {},
    'a b': {},
  }
  put('parley.config.json', JSON.stringify({ agents }))
  expect(await problems()).toEqual([
    'agents of the agent lead names nobody, which is not an agent.',
    'agents of the agent lead names a b, but such a name must be 1–53 characters from A-Z a-z 0-9 _ -.',
    'handoff of the agent lead names support, which is not an agent.',
    'The agent lead cannot hand the conversation to itself.',
  ])
  put('parley.config.json', JSON.stringify({ agents: { lead: { agents: ['lead'], handoff: [] } } }))
  expect((await load()).agents.get('lead')?.agents).toEqual(['lead'])
})

test('an agent is local, or behind AG-UI, but not both', async () => {
  put(
    'a.mjs',
    "export default { agents: { far: { agui: 'http://127.0.0.1:9/a', headers: { A: 'b' }, timeoutMs: 5 } } }",
  )
  const config = await loadConfig({ PARLEY_CONFIG: 'a.mjs' }, folder)
  expect(config.agents.get('far')).toEqual({ agui: 'http://127.0.0.1:9/a', headers: { A: 'b' }, timeoutMs: 5 })
  put('b.mjs', "export default { agents: { far: { agui: 'ftp://x' } } }")
  await expect(loadConfig({ PARLEY_CONFIG: 'b.mjs' }, folder)).rejects.toThrow(
    /at far.agui must be an http or https URL/,
  )
  put('c.mjs', "export default { agents: { far: { agui: 'http://127.0.0.1:9/a', system: 'x' } } }")
  await expect(loadConfig({ PARLEY_CONFIG: 'c.mjs' }, folder)).rejects.toThrow(/system/)
  put('d.mjs', "export default { agents: { far: { agui: 'http://127.0.0.1:9/a', headers: { A: '{claim:x}' } } } }")
  await expect(loadConfig({ PARLEY_CONFIG: 'd.mjs' }, folder)).rejects.toThrow(
    /agents in d.mjs has headers with claims/,
  )
})
