// The public API of Parley's TypeScript SDK, for browsers and Node.

export type {
  Assignment,
  BudgetLeft,
  CodecName,
  Content,
  Event,
  ListedSession,
  MeAnswer,
  Part,
  Policy,
  Seen,
  SessionsAnswer,
  Usage,
} from '@parley/protocol'
export { acquireStream } from '#platform'
export type { ReconnectPolicy } from './backoff.ts'
export type { WebSocketConstructor, WebSocketLike } from './client-options.ts'
export { CLIENT_VERSION, type ClientOptions, type Clock, type Logger, SYSTEM_CLOCK } from './client-options.ts'
export { type ConnectionState, type ConnectionStatus, IDLE } from './connection/connection-state.ts'
export type { MoveReason, TransportState } from './connection/transport-choice.ts'
export { ParleyClient } from './parley-client.ts'
export {
  DisconnectedError,
  GapError,
  type LocalErrorCode,
  ParleyError,
  RestartedError,
} from './parley-error.ts'
export { agentOfNext, childRuns, firstAgent, mentionedAgent } from './session/agents.ts'
export { applyEntry } from './session/apply-entry.ts'
export type { SessionOptions } from './session/attached-session.ts'
export { answerOf, parentOfNext } from './session/branch.ts'
export { type CallStatus, type CallView, isSettled, openQuestion, type QuestionView } from './session/call-view.ts'
export type { LayeredMap } from './session/layered-map.ts'
export type { Accepted, Reply, ReplyEvent, Watcher } from './session/reply.ts'
export {
  isEnded,
  type RunPart,
  type RunStatus,
  type RunView,
  type TextPartView,
} from './session/run-view.ts'
export type { SendOptions } from './session/send-frame.ts'
export type { ClientTool, Session, ToolContext } from './session/session.ts'
export type { PresenceState, PresenceView, PresentMember, SessionPresence } from './session/session-presence.ts'
export {
  type Delay,
  type MessageView,
  newSession,
  type PendingSend,
  type SessionStatus,
  type SessionView,
  type TurnPlace,
  type TurnView,
} from './session/session-view.ts'
export {
  type SchemaOutput,
  type StandardIssue,
  type StandardResult,
  type StandardSchema,
  type TypedTool,
  tool,
} from './session/tool.ts'
export type { Door, DoorPolicy, DoorStorage } from './transport/door.ts'
export type { ListOptions } from './transport/http/server-requests.ts'
