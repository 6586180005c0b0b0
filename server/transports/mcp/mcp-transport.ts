// The MCP endpoint: Streamable HTTP in both eras on one URL. Its tools are the configured agents: each call becomes a message of a
// session, with the same guarantees as over any other transport. It keeps no session of its own (PROTOCOL.md, "MCP").
import { ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { NodeNews } from '../../store/ports/node-news.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { Method, Route } from '../http/route.ts'
import type { JobName } from '../jobs/job-id.ts'
import { AbandonedRuns } from '../openai/abandoned-runs.ts'
import { type AgentTool, agentTools, failedResult, parseArguments } from './agent-tools.ts'
import {
  canElicit,
  LEGACY_VERSIONS,
  type LegacyVersion,
  MODERN_VERSIONS,
  type ModernEra,
  modernEraOf,
  SERVER_INFO,
  SUBSCRIPTION_ID,
  TASKS,
} from './eras.ts'
import { callExtraTool, type ExtraTool } from './extra-tool.ts'
import { LegacyCalls } from './legacy-calls.ts'
import { type LegacySession, LegacySessions } from './legacy-session.ts'
import { ModernCalls } from './modern-calls.ts'
import { errorsFor, metadataRoutes, type ProtectedResource } from './resource-metadata.ts'
import { RESOURCE_TEMPLATES, readResource } from './resources.ts'
import {
  errorMessage,
  isId,
  isObject,
  type Params,
  parseMessage,
  RPC,
  RpcError,
  type RpcId,
  type RpcMessage,
  resultMessage,
} from './rpc.ts'
import { RpcAnswer } from './rpc-answer.ts'
import { isForClient, rpcErrorOf } from './run-answer.ts'
import type { SigningSecrets } from './signer.ts'
import { knowsTasks, Tasks, type TasksPorts } from './tasks.ts'

export interface McpPorts extends TasksPorts {
  readonly logger: Logger
  readonly version: string
  readonly agents: ReadonlyMap<string, { readonly description?: string | undefined }>
  readonly secrets: SigningSecrets
  readonly extraTools?: readonly ExtraTool[] | undefined
  /** Undefined on a single node. */
  readonly cancelNews?: NodeNews | undefined
  /** Set if clients can find out where to get access tokens. */
  readonly resource?: ProtectedResource | undefined
}

export interface McpTransport {
  readonly routes: readonly Route[]
  /** Cancels the runs of clients that have disconnected. Resolves when that is stored, or after a short time. */
  close(): Promise<void>
}

const PATH = '/mcp'
/** Milliseconds for which a client may keep a list: it changes only with the configuration. */
const TTL_MS = 60_000
const INSTRUCTIONS =
  'Each tool asks an agent. Pass the `session` of a result to continue that conversation; without it, a new one begins.'
/** A modern client of a connection that breaks off is gone: the run ends at once. */
const GRACE_MS = 0

type Request = Extract<RpcMessage, { kind: 'request' }>

export function openMcpTransport(ports: McpPorts): McpTransport {
  const tools = new Map(agentTools(ports.agents).map((tool) => [tool.definition.name, tool]))
  const extras = new Map((ports.extraTools ?? []).map((tool) => [tool.definition.name, tool]))
  const definitions = [...tools.values(), ...extras.values()].map(({ definition }) => definition)
  const info = { name: 'parley', title: 'Parley', version: ports.version }
  // No answer is deleted: `isStored` is always true.
  const abandoned = new AbandonedRuns({ ...ports, graceMs: GRACE_MS, deleteSession: async () => undefined })
  const sessions = new LegacySessions(ports.secrets)
  const legacyCalls = new LegacyCalls(ports, ports.cancelNews)
  const modernCalls = new ModernCalls({ ...ports, abandoned }, ports.secrets)
  const tasks = new Tasks(ports, modernCalls)
  const capabilities = { tools: {}, resources: {} }
  const modernCapabilities = { ...capabilities, extensions: { [TASKS]: {} } }

  const wrap = (result: Params): Params => ({ resultType: 'complete', ...result, _meta: { [SERVER_INFO]: info } })
  const listed = (result: Params): Params => wrap({ ...result, ttlMs: TTL_MS, cacheScope: 'private' })

  /** @throws RpcError for an unknown tool */
  function toolOf({ name }: Params): AgentTool {
    const tool = typeof name === 'string' ? tools.get(name) : undefined
    if (tool === undefined) throw new RpcError(200, RPC.invalidParams, 'There is no such tool.')
    return tool
  }

  async function modern(exchange: HttpExchange, message: RpcMessage, era: ModernEra): Promise<void> {
    if (message.kind !== 'request') {
      exchange.reply(202)
      return
    }
    const { id, method, params } = message
    switch (method) {
      case 'server/discover':
        return reply(
          exchange,
          id,
          listed({ supportedVersions: MODERN_VERSIONS, capabilities: modernCapabilities, instructions: INSTRUCTIONS }),
        )
      case 'tools/list':
        return reply(exchange, id, listed({ tools: definitions }))
      case 'tools/call': {
        const extra = extras.get(String(params.name))
        if (extra !== undefined) {
          const { capabilities: declared } = era
          return callExtraTool(exchange, extra, { id, params, capabilities: declared }, ports.secrets, wrap)
        }
        const tool = toolOf(params)
        const args = parseArguments(params.arguments)
        if ('problem' in args) return reply(exchange, id, wrap(failedResult(args.problem)))
        const asTask = knowsTasks(era) ? (name: JobName) => tasks.created(era, name) : undefined
        return modernCalls.call(exchange, { id, params, era, tool, args, wrap, asTask })
      }
      case 'tasks/get':
        return reply(exchange, id, wrap(await tasks.get(exchange, era, params)))
      case 'tasks/update':
        return reply(exchange, id, wrap(await tasks.update(exchange, era, params)))
      case 'tasks/cancel':
        return reply(exchange, id, wrap(await tasks.cancel(exchange, era, params)))
      case 'resources/list':
        return reply(exchange, id, listed({ resources: [] }))
      case 'resources/templates/list':
        return reply(exchange, id, listed({ resourceTemplates: RESOURCE_TEMPLATES }))
      case 'resources/read':
        return reply(exchange, id, { ...listed(await resource(exchange, params, RPC.invalidParams)), ttlMs: 0 })
      case 'subscriptions/listen':
        return listen(exchange, id)
      default:
        throw new RpcError(404, RPC.methodNotFound, 'There is no such method.')
    }
  }

  /** @throws RpcError with the code for an unknown resource */
  async function resource(exchange: HttpExchange, { uri }: Params, code: number): Promise<Params> {
    const found = await readResource(ports, exchange, uri)
    if (found === undefined) throw new RpcError(200, code, 'There is no such resource.', { uri })
    return found
  }

  /** Nothing that a client can subscribe to changes while the node runs, so the stream is silent until the node shuts down or the access token expires. */
  function listen(exchange: HttpExchange, id: RpcId): void {
    const answer = new RpcAnswer(exchange, id, true)
    answer.open()
    const _meta = { [SUBSCRIPTION_ID]: id }
    answer.send('notifications/subscriptions/acknowledged', { notifications: {}, _meta })
    const end = (): void => answer.finish(wrap({}))
    exchange.onDrain(end)
    exchange.onExpire(end)
  }

  async function initialize(exchange: HttpExchange, { id, params }: Request): Promise<void> {
    if (exchange.request.header('mcp-session-id') !== undefined) {
      await sessionOf(exchange.request)
      throw new RpcError(400, RPC.invalidRequest, 'The session is already initialized.')
    }
    const asked = LEGACY_VERSIONS.find((version) => version === params.protocolVersion)
    const version: LegacyVersion = asked ?? LEGACY_VERSIONS[0]
    const elicits = canElicit(isObject(params.capabilities) ? params.capabilities : {})
    const session = await sessions.open({ user: exchange.request.user, version, elicits })
    const result = { protocolVersion: version, capabilities, serverInfo: info, instructions: INSTRUCTIONS }
    exchange.reply(200, resultMessage(id, result), { 'Mcp-Session-Id': session })
  }

  /** @throws RpcError */
  async function sessionOf(request: HttpRequest): Promise<LegacySession> {
    const id = request.header('mcp-session-id')
    if (id === undefined) throw new RpcError(400, RPC.refused, 'The header Mcp-Session-Id is missing.')
    const session = await sessions.find(id, request.user)
    if (session === undefined)
      throw new RpcError(404, RPC.sessionNotFound, 'The session has expired, or does not exist.')
    const version = request.header('mcp-protocol-version')
    if (version !== undefined && !LEGACY_VERSIONS.some((known) => known === version)) {
      const message = `MCP-Protocol-Version must be one of ${LEGACY_VERSIONS.join(', ')}.`
      throw new RpcError(400, RPC.refused, message)
    }
    return session
  }

  async function legacy(exchange: HttpExchange, message: RpcMessage): Promise<void> {
    if (message.kind === 'request') mustAccept(exchange.request, ['application/json', 'text/event-stream'])
    if (message.kind === 'request' && message.method === 'initialize') return initialize(exchange, message)
    const session = await sessionOf(exchange.request)
    if (message.kind === 'request') return legacyRequest(exchange, session, message)
    if (message.kind === 'response') await legacyCalls.answered(exchange, message.id, message.result)
    else if (message.method === 'notifications/cancelled' && isId(message.params.requestId)) {
      await legacyCalls.cancel(exchange, session, message.params.requestId)
    }
    exchange.reply(202)
  }

  async function legacyRequest(exchange: HttpExchange, session: LegacySession, request: Request): Promise<void> {
    const { id, method, params } = request
    switch (method) {
      case 'ping':
        return reply(exchange, id, {})
      case 'tools/list':
        return reply(exchange, id, { tools: definitions })
      case 'tools/call': {
        const extra = extras.get(String(params.name))
        if (extra !== undefined) {
          return callExtraTool(exchange, extra, { id, params, capabilities: {} }, ports.secrets, (result) => result)
        }
        const tool = toolOf(params)
        const args = parseArguments(params.arguments)
        if ('problem' in args) return reply(exchange, id, failedResult(args.problem))
        return legacyCalls.call(exchange, session, { id, params, tool, args })
      }
      case 'resources/list':
        return reply(exchange, id, { resources: [] })
      case 'resources/templates/list':
        return reply(exchange, id, { resourceTemplates: RESOURCE_TEMPLATES })
      case 'resources/read':
        return reply(exchange, id, await resource(exchange, params, RPC.resourceNotFound))
      default:
        throw new RpcError(200, RPC.methodNotFound, 'There is no such method.')
    }
  }

  async function post(exchange: HttpExchange): Promise<void> {
    const message = parseMessage(await readJson(exchange.request))
    try {
      const era = modernEraOf(message, (name) => exchange.request.header(name))
      if (era === undefined) await legacy(exchange, message)
      else await modern(exchange, message, era)
    } catch (error) {
      refuse(exchange, error, message.kind === 'request' ? message.id : null)
    }
  }

  /** Resumes the stream of a call. There are no messages outside of calls, so no other stream is offered. */
  async function get(exchange: HttpExchange): Promise<void> {
    const { request } = exchange
    const event = request.header('last-event-id')
    const version = request.header('mcp-protocol-version') ?? ''
    const isLegacy = request.header('mcp-session-id') !== undefined && !MODERN_VERSIONS.includes(version)
    if (!isLegacy || event === undefined) throw notAllowed(isLegacy ? 'GET, POST' : 'POST')
    mustAccept(request, ['text/event-stream'])
    await legacyCalls.resume(exchange, await sessionOf(request), event)
  }

  const route = (method: Method, handle: (exchange: HttpExchange) => Promise<void>): Route => ({
    method,
    path: PATH,
    errors: errorsFor(ports.resource),
    ...(ports.resource === undefined ? {} : { audience: ports.resource.url }),
    async handle(exchange) {
      try {
        await handle(exchange)
      } catch (error) {
        refuse(exchange, error, null)
      }
    },
  })

  return {
    routes: [
      route('POST', post),
      route('GET', get),
      // A session is a signed token, and nothing is kept that could be deleted.
      route('DELETE', async () => {
        throw notAllowed('POST')
      }),
      ...metadataRoutes(ports.resource),
    ],
    close() {
      legacyCalls.close()
      return abandoned.close()
    },
  }
}

function reply(exchange: HttpExchange, id: RpcId, result: Params): void {
  exchange.reply(200, resultMessage(id, result))
}

/** @throws the error if it concerns the node or the access token, and not the session or the message */
function refuse(exchange: HttpExchange, error: unknown, id: RpcId | null): void {
  const refusal = error instanceof ReplyError && !isForClient(error) ? rpcErrorOf(error) : error
  if (!(refusal instanceof RpcError)) throw error
  // Nobody gets the answer, and the server has not failed: the router closes the connection.
  if (exchange.closed) throw new HttpError('bad_request', refusal.message)
  exchange.reply(refusal.status, errorMessage(id, refusal), refusal.headers)
}

function notAllowed(methods: string): RpcError {
  return new RpcError(405, RPC.refused, 'This method is not allowed here.', undefined, { Allow: methods })
}

/** @throws RpcError */
function mustAccept(request: HttpRequest, types: readonly string[]): void {
  const accept = request.header('accept')
  if (accept === undefined || accept.includes('*/*')) return
  const missing = types.filter((type) => !accept.includes(type))
  if (missing.length > 0) throw new RpcError(406, RPC.refused, `The client must accept ${missing.join(' and ')}.`)
}

/** @throws RpcError, HttpError */
async function readJson(request: HttpRequest): Promise<unknown> {
  try {
    return await request.json(z.unknown())
  } catch (error) {
    if (error instanceof HttpError && error.code === 'bad_request') {
      throw new RpcError(400, RPC.parse, error.detail ?? 'The body is not JSON.')
    }
    throw error
  }
}
