// NamedSchemas: the JSON Schemas of the documents. They are generated from the zod schemas that the server validates
// with, so that the documents cannot differ from the server.
import {
  AnswerRequest,
  CancelRequest,
  ClaimRequest,
  ClientFrame,
  CommandAnswer,
  ConnectionAnswer,
  ConnectionRequest,
  Content,
  DecisionRequest,
  EntryFrame,
  Event,
  EventsPage,
  InviteAnswer,
  InviteRequest,
  Job,
  JobAccepted,
  JobRequest,
  JobState,
  JoinAnswer,
  JoinRequest,
  MeAnswer,
  MembersAnswer,
  MessageRequest,
  OutputPart,
  Part,
  PresenceRequest,
  Problem,
  ReadersAnswer,
  ResultRequest,
  RoleRequest,
  RunResult,
  ServerFrame,
  SessionSnapshot,
  SessionsAnswer,
  SnapshotCall,
  SnapshotMessage,
  TitleRequest,
  Tool,
  Usage,
  WelcomeAnswer,
} from '@parley/protocol'
import { z } from 'zod'
import { AgUiRequest } from '../ag-ui/ag-ui-request.ts'
import { JsonRpcMessage } from '../mcp/rpc.ts'
import { ChatRequest } from '../openai/chat-request.ts'
import { InputTokensRequest, ResponseRequest } from '../openai/response-request.ts'
import { CompletionRequest } from '../openai/text-completion.ts'

export type JsonObject = { readonly [name: string]: unknown }

const Health = z.object({ status: z.enum(['ok', 'ready']) })

/** The schemas of plain HTTP. */
export const HTTP_SCHEMAS = {
  ChatRequest,
  CompletionRequest,
  ResponseRequest,
  InputTokensRequest,
  InviteAnswer,
  InviteRequest,
  JoinAnswer,
  JoinRequest,
  MeAnswer,
  MembersAnswer,
  RoleRequest,
  TitleRequest,
  AnswerRequest,
  CancelRequest,
  ClaimRequest,
  CommandAnswer,
  ConnectionAnswer,
  ConnectionRequest,
  PresenceRequest,
  Content,
  DecisionRequest,
  EntryFrame,
  Event,
  EventsPage,
  Health,
  JsonRpcMessage,
  AgUiRequest,
  Job,
  JobAccepted,
  JobRequest,
  JobState,
  MessageRequest,
  OutputPart,
  Part,
  Problem,
  ReadersAnswer,
  ResultRequest,
  RunResult,
  SessionSnapshot,
  SessionsAnswer,
  SnapshotCall,
  SnapshotMessage,
  Tool,
  Usage,
  WelcomeAnswer,
} as const satisfies Readonly<Record<string, z.ZodType>>

export type HttpSchemaName = keyof typeof HTTP_SCHEMAS

export const PLACE = '#/components/schemas'

/** JSON Schema 2020-12, which OpenAPI 3.1 uses. */
export function httpSchemas(): Readonly<Record<string, JsonObject>> {
  return asJsonSchemas(HTTP_SCHEMAS, 'draft-2020-12')
}

/** The frames with their events and parts, as JSON Schema draft 7, which AsyncAPI 3.0 uses. */
export function frameSchemas(): {
  readonly client: readonly string[]
  readonly server: readonly string[]
  readonly schemas: Readonly<Record<string, JsonObject>>
} {
  const client = framesOf(ClientFrame, 'client')
  const server = framesOf(ServerFrame, 'server')
  const schemas = asJsonSchemas({ ...client, ...server, Event, OutputPart, Part, Tool }, 'draft-7')
  return { client: Object.keys(client), server: Object.keys(server), schemas }
}

interface FrameUnion {
  readonly options: readonly (z.ZodType & { readonly shape: { readonly type: { readonly value: string } } })[]
}

/** Both sides have frames of the same type, so the name contains the side. */
function framesOf({ options }: FrameUnion, side: string): Record<string, z.ZodType> {
  return Object.fromEntries(options.map((option) => [`${side}.${option.shape.type.value}`, option]))
}

function asJsonSchemas(
  schemas: Readonly<Record<string, z.ZodType>>,
  target: 'draft-2020-12' | 'draft-7',
): Readonly<Record<string, JsonObject>> {
  const names = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(schemas)) names.add(schema, { id })
  const made = z.toJSONSchema(names, {
    target,
    uri: (id) => `${PLACE}/${id}`,
    // The server ignores unknown fields, so `additionalProperties` is not set to false.
    io: 'input',
    // Values of any kind, and checks across fields, which JSON Schema cannot express.
    unrepresentable: 'any',
  })
  return Object.fromEntries(
    Object.entries(made.schemas).map(([name, { $schema: _, $id: __, ...schema }]) => [name, schema]),
  )
}
