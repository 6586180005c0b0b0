// NamedSchemas: the zod schemas that the documents name, as JSON Schema. Made from what the server itself checks with, so
// that a document cannot say something else.
import {
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
import { ChatRequest } from '../openai/chat-request.ts'
import { ResponseRequest } from '../openai/response-request.ts'

export type JsonObject = { readonly [name: string]: unknown }

const Health = z.object({ status: z.enum(['ok', 'ready']) })

/** Of plain HTTP. */
export const HTTP_SCHEMAS = {
  ChatRequest,
  ResponseRequest,
  InviteAnswer,
  InviteRequest,
  JoinAnswer,
  JoinRequest,
  MeAnswer,
  MembersAnswer,
  RoleRequest,
  TitleRequest,
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

/** As OpenAPI 3.1 has it: JSON Schema 2020-12. */
export function httpSchemas(): Readonly<Record<string, JsonObject>> {
  return asJsonSchemas(HTTP_SCHEMAS, 'draft-2020-12')
}

/** Each frame under its name, with the events and parts in it; as AsyncAPI 3.0 has it: JSON Schema draft 7. */
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

/** Two frames of either side have the same type, so the side is in the name. */
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
    // What is read may have more fields than are known: so nothing is closed.
    io: 'input',
    // A value of any kind, and checks between fields, which the text tells.
    unrepresentable: 'any',
  })
  return Object.fromEntries(
    Object.entries(made.schemas).map(([name, { $schema: _, $id: __, ...schema }]) => [name, schema]),
  )
}
