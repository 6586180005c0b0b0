// The public API of Parley's chat transport for the AI SDK.

export { ParleyClient } from '@parley/client'
export type { ChatTool } from './chat-tools.ts'
export {
  type FollowedChat,
  type MessageOptions,
  ParleyChatTransport,
  type ParleyChatTransportOptions,
} from './chat-transport.ts'
export { toUIMessages } from './ui-messages.ts'
