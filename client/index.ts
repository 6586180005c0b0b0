// Parley's TypeScript SDK, for browsers and Node.
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
export { parentOfNext, type TurnView } from './branch.ts'
export { type CallStatus, type CallView, isSettled } from './call-view.ts'
export { CLIENT_VERSION, type ClientOptions, type Clock, type Logger } from './client-options.ts'
export type {
  ConnectionState,
  ConnectionStatus,
  ReconnectPolicy,
} from './connection-state.ts'
export type { DoorStorage } from './door-memory.ts'
export type { SendOptions } from './outgoing.ts'
export { ParleyClient } from './parley-client.ts'
export {
  DisconnectedError,
  GapError,
  type LocalErrorCode,
  ParleyError,
  RestartedError,
} from './parley-error.ts'
export type { Accepted, Reply, ReplyEvent } from './reply.ts'
export {
  isEnded,
  type RunPart,
  type RunStatus,
  type RunView,
  type TextPartView,
} from './run-view.ts'
export type { Session, SessionOptions } from './session.ts'
export type { PresenceState, PresenceView, PresentMember, SessionPresence } from './session-presence.ts'
export type { ListOptions } from './session-shelf.ts'
export {
  applyEntry,
  type Delay,
  type MessageView,
  newSession,
  type PendingSend,
  type SessionStatus,
  type SessionView,
} from './session-view.ts'
export { type ClientTool, type ToolContext, tool } from './tool.ts'
export type { Door, DoorPolicy, MoveReason, TransportState } from './transport-choice.ts'
export type { WebSocketConstructor, WebSocketLike } from './web-socket.ts'
