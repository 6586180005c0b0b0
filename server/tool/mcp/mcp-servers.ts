// McpServers: the tools of all configured MCP servers, for each run. A server whose headers contain claims gets one connection for each
// set of headers, so one person's credential is never used for another. Others have one connection, which stays open.
import { createHash } from 'node:crypto'
import { headersWith } from '../claim-headers.ts'
import { type ServerTool, ToolFailure } from '../define-tool.ts'
import type { ToolSet } from '../tool-set.ts'
import { claimsOf, type McpServerConfig, type McpServersConfig, serverOf } from './mcp-config.ts'
import { McpConnection, type McpConnectionOptions } from './mcp-connection.ts'

type Opened = { readonly claims: Readonly<Record<string, string>> } | { readonly problem: 'unreadable' | 'too_large' }

type OpenClaims = () => Promise<Opened>

/** The run that uses the tools. */
export interface McpRun {
  /** Encrypted claims of the access token that sent the run's message. */
  readonly credentials: string | undefined
  /** The sender. */
  readonly author: string | undefined
  /** Somebody else has added a message to the run. */
  isShared(): boolean
  /** Whether the run's agent may use the tool. */
  allows(tool: string): boolean
}

export interface McpServersOptions
  extends Pick<McpConnectionOptions, 'version' | 'logger' | 'connectMs' | 'backoffMs'> {
  readonly servers: McpServersConfig
  /** Decrypts the claims of this user. */
  open(credentials: string, user: string): Promise<Opened>
  /** Milliseconds after which an unused connection of a person is closed. */
  readonly idleMs?: number
  /** Connections of one server. */
  readonly maxConnections?: number
  /** Milliseconds that a model call waits for servers that are connecting. */
  readonly waitMs?: number
}

const IDLE_MS = 5 * 60_000
const MAX_CONNECTIONS = 200
const WAIT_MS = 5_000

export class McpServers {
  readonly #options: McpServersOptions
  /** By the server's name and a hash of the headers. */
  readonly #connections = new Map<string, McpConnection>()
  readonly #sweep: NodeJS.Timeout

  constructor(options: McpServersOptions) {
    this.#options = options
    const { idleMs = IDLE_MS } = options
    this.#sweep = setInterval(() => this.#closeIdle(idleMs), Math.min(idleMs, 60_000)).unref()
  }

  /** Connects in the background to the servers that need no claims: one that is away must not keep the node from starting. */
  start(): void {
    for (const [name, server] of Object.entries(this.#options.servers))
      if (claimsOf(server).length === 0)
        void this.#connection(name, server, 'url' in server ? server.headers : {}).ready()
  }

  get connections(): number {
    return this.#connections.size
  }

  /** @param own the server's own tools that the run may use */
  toolsFor(own: ReadonlyMap<string, ServerTool>, run: McpRun): ToolSet {
    const servers = Object.entries(this.#options.servers)
    const problems = new Map<string, string>()
    let found = new Map<string, ServerTool>()
    const get = (name: string): ServerTool | undefined => own.get(name) ?? found.get(name)
    const claims = this.#claimsOf(run)
    return {
      get,
      has: (name) => get(name) !== undefined,
      values: () => [...own.values(), ...found.values()],
      ready: async (signal) => {
        const listed = new Map<string, ServerTool>()
        const opened = servers.map(async ([name, server]) => {
          const connection = await this.#connectionFor(name, server, run, claims).catch(asProblem)
          if (connection instanceof McpConnection) await connection.ready()
          const problem = connection instanceof McpConnection ? connection.problem : connection
          if (problem === undefined) problems.delete(name)
          else problems.set(name, problem)
          for (const tool of connection instanceof McpConnection ? connection.tools.values() : [])
            if (run.allows(tool.name)) listed.set(tool.name, this.#bound(tool, name, server, run, claims))
        })
        for (const [name] of servers) problems.set(name, `The MCP server ${name} is still starting.`)
        await atMost(this.#options.waitMs ?? WAIT_MS, Promise.all(opened), signal)
        found = new Map([...listed].sort(([one], [other]) => (one < other ? -1 : 1)))
      },
      problem: (tool) => {
        const server = serverOf(this.#options.servers, tool)
        if (server === undefined || !run.allows(tool)) return undefined
        return problems.get(server) ?? `The MCP server ${server} has no tool that is named ${tool}.`
      },
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep)
    await Promise.all([...this.#connections.values()].map((connection) => connection.close()))
    this.#connections.clear()
  }

  /**
   * The tool for one run. Each call looks for the connection again, because an idle one may have been closed, and the server may have
   * changed its tools.
   */
  #bound(tool: ServerTool, name: string, server: McpServerConfig, run: McpRun, claims: OpenClaims): ServerTool {
    return {
      ...tool,
      execute: async (input, context) => {
        const connection = await this.#connectionFor(name, server, run, claims)
        await connection.ready()
        return connection.call(tool.name, input, context)
      },
    }
  }

  /** @throws ToolFailure */
  async #connectionFor(name: string, server: McpServerConfig, run: McpRun, claims: OpenClaims): Promise<McpConnection> {
    if (!('url' in server)) return this.#connection(name, server)
    if (claimsOf(server).length === 0) return this.#connection(name, server, server.headers)
    // Claims are for lists and calls in the name of the sender alone.
    if (run.isShared()) throw new ToolFailure(sharedRun(name))
    const opened = await claims()
    if ('problem' in opened) throw new ToolFailure(problemOf(name, opened.problem))
    const result = headersWith(server.headers ?? {}, opened.claims)
    if ('headers' in result) return this.#connection(name, server, result.headers)
    throw new ToolFailure(
      `The MCP server ${name} needs the claim ${result.missing} of the sender's access token. Sign in with a token that has it, and send the message again.`,
    )
  }

  /** The sender's claims, which are decrypted once. */
  #claimsOf({ credentials, author }: McpRun): OpenClaims {
    let opened: Promise<Opened> | undefined
    const open = async (): Promise<Opened> => {
      if (credentials === undefined || author === undefined) return { claims: {} }
      const result = await this.#options.open(credentials, author)
      if ('problem' in result) {
        const { problem } = result
        this.#options.logger.warn({ problem }, 'claims for MCP servers are not available')
      }
      return result
    }
    return () => {
      opened ??= open()
      return opened
    }
  }

  /** @throws ToolFailure if there are too many connections */
  #connection(name: string, server: McpServerConfig, headers: Readonly<Record<string, string>> = {}): McpConnection {
    const hash = createHash('sha256').update(JSON.stringify(headers)).digest('hex')
    const prefix = `${name} `
    const key = prefix + hash
    let connection = this.#connections.get(key)
    if (connection === undefined) {
      const { maxConnections = MAX_CONNECTIONS, version, logger, connectMs, backoffMs } = this.#options
      const same = [...this.#connections].filter(([other]) => other.startsWith(prefix))
      if (same.length >= maxConnections) {
        const idle = same.find(([, { calls }]) => calls === 0)
        if (idle === undefined)
          throw new ToolFailure(`Too many people use the MCP server ${name} now. Try again in a minute.`)
        this.#drop(...idle)
      }
      const keep = claimsOf(server).length === 0
      const limits = {
        ...(connectMs === undefined ? {} : { connectMs }),
        ...(backoffMs === undefined ? {} : { backoffMs }),
      }
      connection = new McpConnection({ name, server, headers, keep, version, logger, ...limits })
    }
    // The least recently used first.
    this.#connections.delete(key)
    this.#connections.set(key, connection)
    return connection
  }

  #closeIdle(idleMs: number): void {
    for (const [key, connection] of this.#connections) {
      const isPersonal = claimsOf(this.#options.servers[key.split(' ')[0] as string] as McpServerConfig).length > 0
      const isIdle = connection.calls === 0 && performance.now() - connection.usedAt > idleMs
      if (isPersonal && isIdle) this.#drop(key, connection)
    }
  }

  #drop(key: string, connection: McpConnection): void {
    this.#connections.delete(key)
    connection
      .close()
      .catch((err: unknown) => this.#options.logger.warn({ err }, 'connection to an MCP server did not close'))
  }
}

function sharedRun(server: string): string {
  return `Another person has added a message to this answer, so it cannot use the MCP server ${server} in the name of its sender.`
}

function problemOf(server: string, problem: 'unreadable' | 'too_large'): string {
  if (problem === 'too_large')
    return `The claims of the sender's access token are too large, so the MCP server ${server} cannot be used.`
  return `The credentials for the MCP server ${server} cannot be decrypted here: the server that took the message has another PARLEY_CREDENTIALS_KEY, or none and was restarted. Send the message again.`
}

function asProblem(error: unknown): string {
  if (error instanceof ToolFailure) return error.message
  throw error
}

/** Waits for the work, but not longer than `ms` or after the abort. */
async function atMost(ms: number, work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(ms)])
  await Promise.race([work, new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }))])
  signal.throwIfAborted()
}
