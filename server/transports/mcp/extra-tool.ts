// ExtraTool: a tool of the MCP endpoint besides the agents. Only tests have some: the conformance suite calls tools of its own.
import type { HttpExchange } from '../http/http-exchange.ts'
import type { ToolDefinition } from './agent-tools.ts'
import { isId, isObject, type Params, RPC, RpcError, type RpcId } from './rpc.ts'
import { RpcAnswer } from './rpc-answer.ts'
import { Signer, type SigningSecrets } from './signer.ts'

export interface ExtraTool {
  readonly definition: ToolDefinition
  /** @returns the result of `tools/call` @throws RpcError */
  call(call: ExtraCall): Promise<Params>
}

export interface ExtraCall {
  readonly arguments: Params
  /** What the client declared; empty for a legacy client. */
  readonly capabilities: Params
  readonly inputResponses: Params
  readonly requestState: unknown
  readonly progressToken: RpcId | undefined
  /** For `requestState`. */
  readonly signer: Signer
  /** Sends a notification; the answer becomes a stream. */
  notify(method: string, params: Params): void
}

/** @throws RpcError */
export async function callExtraTool(
  exchange: HttpExchange,
  tool: ExtraTool,
  { id, params, capabilities }: { readonly id: RpcId; readonly params: Params; readonly capabilities: Params },
  secrets: SigningSecrets,
  wrap: (result: Params) => Params,
): Promise<void> {
  const answer = new RpcAnswer(exchange, id, true)
  const token = isObject(params._meta) ? params._meta.progressToken : undefined
  const given: ExtraCall = {
    arguments: isObject(params.arguments) ? params.arguments : {},
    capabilities,
    inputResponses: isObject(params.inputResponses) ? params.inputResponses : {},
    requestState: params.requestState,
    progressToken: isId(token) ? token : undefined,
    signer: new Signer(secrets, `MCP state of ${tool.definition.name}`),
    notify(method, sent) {
      if (answer.stream === undefined) answer.open()
      answer.send(method, sent)
    },
  }
  try {
    answer.finish(wrap(await tool.call(given)))
  } catch (error) {
    if (answer.stream === undefined) throw error
    answer.fail(error instanceof RpcError ? error : new RpcError(200, RPC.internal, 'The tool failed.'))
  }
}
