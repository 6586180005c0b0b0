// Loads the settings of one server: from the environment, else from a configuration file, else the defaults.
// Unknown and invalid settings abort the start. The messages name them, but never contain a value.
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { type Agent, agentProblems } from '../run/agent/agents.ts'
import { AgentLimitsForm, claimsOfAgents, RemoteAgentForm } from '../run/remote-agent.ts'
import type { ServerTool } from '../tool/define-tool.ts'
import { claimsIn, type McpServersConfig, McpServersForm, nameProblems } from '../tool/mcp/mcp-config.ts'
import { FOREIGN_VARIABLES, SETTINGS, type SettingKey, type Settings } from './settings.ts'

export interface Config extends Settings {
  /** The configuration file, if one was read. */
  readonly file: string | undefined
  readonly tools: readonly ServerTool[]
  readonly agents: ReadonlyMap<string, Agent>
  readonly mcpServers: McpServersConfig
}

/** The start is aborted. The message has one line per problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

type Env = Readonly<Record<string, string | undefined>>

const PREFIX = 'PARLEY_'
const FILE_NAMES = ['parley.config.mjs', 'parley.config.js', 'parley.config.ts', 'parley.config.json']
const KEYS = Object.keys(SETTINGS) as SettingKey[]

const LocalAgentForm = z.strictObject({
  model: z.string().optional(),
  system: z.string().optional(),
  tools: z.array(z.string()).optional(),
  description: z.string().optional(),
  agents: z.array(z.string()).optional(),
  handoff: z.array(z.string()).optional(),
  limits: AgentLimitsForm.optional(),
})
const AgentForm = z.record(z.string(), z.unknown()).transform((agent, context): Agent => {
  const form: z.ZodType<Agent> = 'agui' in agent ? RemoteAgentForm : LocalAgentForm
  const parsed = form.safeParse(agent)
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues) context.addIssue({ code: 'custom', path, message })
  return z.NEVER
})
const ServerToolForm = z.custom<ServerTool>(
  (value) => typeof value === 'object' && value !== null && 'execute' in value && 'check' in value,
  { error: 'must be made by defineTool' },
)

function isProtecting(key: keyof Settings): boolean {
  return SETTINGS[key].secret === true || key === 'jwtSecretFile' || key === 'jwksUrl'
}

/** @param folder the folder to search for a configuration file @throws ConfigError */
export async function loadConfig(env: Env, folder: string): Promise<Config> {
  const { file, values } = await readConfigFile(env, folder)
  const problems: string[] = []
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith(PREFIX) || FOREIGN_VARIABLES.has(variable)) continue
    if (!KEYS.some((key) => SETTINGS[key].variable === variable))
      problems.push(`${variable} is not a setting of this server.`)
  }
  const { tools = [], agents = {}, mcpServers = {}, ...plain } = values
  for (const key of Object.keys(plain)) {
    if (!(key in SETTINGS)) problems.push(`${key} in ${file} is not a setting of this server.`)
  }
  const settings: Record<string, unknown> = {}
  for (const key of KEYS) {
    const { variable, schema, fallback } = SETTINGS[key]
    const fromEnv = env[variable]?.trim()
    const isInEnv = fromEnv !== undefined && fromEnv !== ''
    const value: unknown = isInEnv ? fromEnv : plain[key]
    // A mistake in a secret must not start a server that lets everybody in.
    if (fromEnv === '' && env[variable] !== '') problems.push(`${variable} is blank: remove it, or give it a value.`)
    if (!isInEnv && isProtecting(key) && key in plain && value === undefined)
      problems.push(`${key} in ${file} is undefined: remove it, or give it a value.`)
    if (value === undefined) {
      settings[key] = fallback
      continue
    }
    const parsed = schema.safeParse(value)
    if (parsed.success) settings[key] = parsed.data
    else problems.push(`${isInEnv ? variable : `${key} in ${file}`} ${messageOf(parsed.error)}.`)
  }
  const config: Config = {
    ...(settings as unknown as Settings),
    file,
    tools: checked(z.array(ServerToolForm), tools, `tools in ${file}`, problems) ?? [],
    agents: new Map(
      Object.entries(checked(z.record(z.string(), AgentForm), agents, `agents in ${file}`, problems) ?? {}),
    ),
    mcpServers: checked(McpServersForm, mcpServers, `mcpServers in ${file}`, problems) ?? {},
  }
  problems.push(...problemsBetween(config))
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/**
 * Checks a configuration that a program has made or changed, as `loadConfig` checks variables and files.
 * @throws ConfigError
 */
export function checkConfig(config: Config): void {
  const problems = KEYS.flatMap((key) => {
    const value = config[key]
    if (value === undefined || value === SETTINGS[key].fallback) return []
    const parsed = SETTINGS[key].schema.safeParse(value)
    return parsed.success ? [] : [`${key} ${messageOf(parsed.error)}.`]
  })
  checked(z.array(ServerToolForm), config.tools, 'tools', problems)
  checked(z.record(z.string(), AgentForm), Object.fromEntries(config.agents), 'agents', problems)
  checked(McpServersForm, config.mcpServers, 'mcpServers', problems)
  problems.push(...problemsBetween(config))
  if (problems.length > 0) throw new ConfigError(problems)
}

function problemsBetween(config: Config): string[] {
  const problems = agentProblems(config.agents, new Set(config.tools.map(({ name }) => name)))
  const isCluster = config.role === 'gateway' || config.role === 'worker'
  if (config.natsUrl === undefined && isCluster) {
    problems.push(`PARLEY_ROLE=${config.role} needs PARLEY_NATS_URL. With the embedded log, the role must be all.`)
  }
  if (config.sharePort === 'yes' && config.natsUrl === undefined) {
    problems.push('PARLEY_SHARE_PORT=yes needs PARLEY_NATS_URL: nodes with embedded logs do not share sessions.')
  } else if (config.sharePort === 'yes' && config.port === 0) {
    problems.push('PARLEY_SHARE_PORT=yes needs a PARLEY_PORT other than 0, the same on all nodes.')
  } else if (config.sharePort === 'yes' && config.role === 'worker') {
    problems.push('PARLEY_SHARE_PORT=yes is not available with PARLEY_ROLE=worker: give the worker its own port.')
  }
  if ((config.relayUrl !== undefined || config.role === 'relay') && config.relaySecret === undefined) {
    problems.push('A relay and the nodes that use it need PARLEY_RELAY_SECRET, the same on all of them.')
  }
  problems.push(...natsProblems(config))
  problems.push(...tokenProblems(config))
  problems.push(...mcpProblems(config), ...claimProblems(config))
  if (config.metrics === 'on' && config.metricsListen === undefined && config.metricsToken === undefined) {
    problems.push('PARLEY_METRICS=on needs PARLEY_METRICS_LISTEN or PARLEY_METRICS_TOKEN.')
  }
  const names = config.tools.map((tool) => tool.name)
  for (const name of new Set(names.filter((name, index) => names.indexOf(name) !== index))) {
    problems.push(`tools${inFile(config)} contains two tools named ${name}.`)
  }
  return problems
}

function tokenProblems(config: Config): string[] {
  const { jwtSecret, jwtSecretFile, jwksUrl, anonymous, mcpUrl, jwtIssuer, jwtAudience, natsUrl, credentialsKey } =
    config
  const keys = setVariables({
    PARLEY_JWT_SECRET: jwtSecret,
    PARLEY_JWT_SECRET_FILE: jwtSecretFile,
    PARLEY_JWKS_URL: jwksUrl,
  })
  const problems = keys.length > 1 ? [`${keys.join(' and ')} cannot both be set.`] : []
  if (anonymous === 'yes' && keys.length > 0) problems.push(`PARLEY_ANONYMOUS and ${keys[0]} contradict each other.`)
  if (mcpUrl !== undefined && (keys.length === 0 || jwtIssuer === undefined || !URL.canParse(jwtIssuer))) {
    problems.push('PARLEY_MCP_URL needs access tokens, and PARLEY_JWT_ISSUER, the URL of the server that issues them.')
  }
  // Otherwise a token for the MCP endpoint, or for any other service of the issuer, would be valid everywhere else.
  if (mcpUrl !== undefined && jwtAudience === undefined) {
    problems.push(
      'PARLEY_MCP_URL needs PARLEY_JWT_AUDIENCE, the audience of the access tokens for everything but /mcp.',
    )
  }
  if (mcpUrl !== undefined && /[:*]/.test(new URL(mcpUrl).pathname)) {
    problems.push('PARLEY_MCP_URL must not have : or * in its path.')
  }
  if (mcpUrl !== undefined && natsUrl !== undefined && jwksUrl !== undefined && credentialsKey === undefined) {
    problems.push(
      'PARLEY_MCP_URL with PARLEY_JWKS_URL and PARLEY_NATS_URL needs PARLEY_CREDENTIALS_KEY, the same on all nodes: it signs the ids of MCP sessions.',
    )
  }
  return problems
}

function mcpProblems(config: Config): string[] {
  const { mcpServers, tools } = config
  const names = nameProblems(
    mcpServers,
    tools.map(({ name }) => name),
  )
  return names.map((problem) => `mcpServers${inFile(config)}: ${problem}.`)
}

function claimProblems(config: Config): string[] {
  const { mcpServers, agents, role, natsUrl, credentialsKey, jwtSecret, jwtSecretFile, jwksUrl } = config
  const problems: string[] = []
  const inServers = claimsIn(mcpServers).length > 0
  if (!inServers && claimsOfAgents(agents.values()).length === 0) return problems
  const needs = `${inServers ? 'mcpServers' : 'agents'}${inFile(config)} has headers with claims, so it needs`
  if (role !== 'worker' && [jwtSecret, jwtSecretFile, jwksUrl].every((key) => key === undefined)) {
    problems.push(`${needs} PARLEY_JWT_SECRET, PARLEY_JWT_SECRET_FILE or PARLEY_JWKS_URL.`)
  }
  if (natsUrl !== undefined && credentialsKey === undefined) {
    problems.push(`${needs} PARLEY_CREDENTIALS_KEY, the same on all nodes.`)
  }
  return problems
}

function inFile({ file }: Config): string {
  return file === undefined ? '' : ` in ${file}`
}

function setVariables(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values).flatMap(([variable, value]) => (value === undefined ? [] : [variable]))
}

/** The ways to authenticate to NATS exclude each other. */
function natsProblems({ natsUser, natsPassword, natsToken, natsNkey, natsCreds, natsCert, natsKey }: Config): string[] {
  const problems: string[] = []
  const ways = setVariables({
    PARLEY_NATS_USER: natsUser,
    PARLEY_NATS_TOKEN: natsToken,
    PARLEY_NATS_NKEY: natsNkey,
    PARLEY_NATS_CREDS: natsCreds,
  })
  if (ways.length > 1) problems.push(`${ways.join(' and ')} cannot both be set.`)
  if (natsPassword !== undefined && natsUser === undefined)
    problems.push('PARLEY_NATS_PASSWORD needs PARLEY_NATS_USER.')
  if ((natsCert === undefined) !== (natsKey === undefined)) {
    problems.push('PARLEY_NATS_CERT and PARLEY_NATS_KEY must be set together.')
  }
  return problems
}

function checked<T>(schema: z.ZodType<T>, value: unknown, name: string, problems: string[]): T | undefined {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  problems.push(`${name} ${messageOf(parsed.error)}.`)
  return undefined
}

function messageOf(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'is invalid'
  const where = issue.path.length === 0 ? '' : `at ${issue.path.join('.')} `
  return issue.message.startsWith('must') ? `${where}${issue.message}` : `${where}is invalid: ${issue.message}`
}

async function readConfigFile(
  env: Env,
  folder: string,
): Promise<{ file: string | undefined; values: Record<string, unknown> }> {
  const named = env.PARLEY_CONFIG
  const file =
    named === undefined || named === '' ? FILE_NAMES.find((name) => existsSync(resolve(folder, name))) : named
  if (file === undefined) return { file, values: {} }
  const path = resolve(folder, file)
  if (!existsSync(path)) throw new ConfigError([`PARLEY_CONFIG names ${file}, but that file does not exist.`])
  const values = file.endsWith('.json') ? readJson(path, file) : await importModule(path, file)
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new ConfigError([`${file} must contain an object of settings.`])
  }
  return { file, values: { ...values } }
}

function readJson(path: string, file: string): unknown {
  let text = ''
  try {
    text = readFileSync(path, 'utf8')
    return JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw new ConfigError([`${file} cannot be read: ${messageIn(error)}.`])
    const lines = text.slice(0, jsonErrorAt(text)).split('\n')
    const column = (lines.at(-1) ?? '').length + 1
    throw new ConfigError([`${file} is not valid JSON: error at line ${lines.length}, column ${column}.`])
  }
}

/**
 * The index of the first error in a text that is not JSON. V8 quotes the text around an unexpected token, which may be a
 * secret, and Node 20 does not add its position. So this searches the longest beginning that more text could complete.
 */
function jsonErrorAt(text: string): number {
  const hasError = (length: number): boolean => {
    try {
      JSON.parse(text.slice(0, length))
      return false
    } catch (error) {
      const at = /at position (\d+)/.exec(messageIn(error))?.[1]
      return at === undefined ? !messageIn(error).startsWith('Unexpected end') : Number(at) < length
    }
  }
  let [good, bad] = [0, text.length + 1]
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (hasError(middle)) bad = middle
    else good = middle
  }
  return good
}

function messageIn(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error'
}

async function importModule(path: string, file: string): Promise<unknown> {
  try {
    const module: { readonly default?: unknown } = await import(pathToFileURL(path).href)
    return 'default' in module ? module.default : module
  } catch (error) {
    const reason = messageIn(error).split('\n')[0]
    const hint = file.endsWith('.ts')
      ? ' This version of Node.js may not run TypeScript. Use a .mjs or .json file instead.'
      : ''
    throw new ConfigError([`${file} cannot be loaded: ${reason}.${hint}`])
  }
}
