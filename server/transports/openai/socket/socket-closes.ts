// The close codes of the Responses WebSocket, from RFC 6455 and its registry. OpenAI's clients know which of them allow a reconnect.

export const CLOSES = {
  unsupported: 1003,
  refused: 1008,
  internal: 1011,
  restart: 1012,
  later: 1013,
} as const
