// Models at a test's own servers, and the failures they end in. Servers stop with their test.
import { afterEach, expect } from 'vitest'
import type { Model } from '../model.ts'
import { createModelCatalog } from '../model-catalog.ts'
import { type ProviderFailure, toProviderFailure } from '../provider-failure.ts'
import {
  type ProviderRequest,
  type ProviderServer,
  type ReceivedAnswer,
  startProviderServer,
} from './provider-server.ts'

export const KEY = 'sk-a-secret'
export const PRIVATE = 'org-4711 owes us money'
const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

export async function provide(answer: (request: ProviderRequest) => void): Promise<ProviderServer> {
  const server = await startProviderServer(answer)
  stops.push(() => server.stop())
  return server
}

export function modelAt(url: string, provider: 'openai' | 'anthropic' | 'google' | 'compatible' = 'compatible'): Model {
  return createModelCatalog({ model: `${provider}:m`, [provider]: { url, key: KEY } }).get()
}

export async function failureOf(received: ReceivedAnswer): Promise<ProviderFailure> {
  const failure = toProviderFailure(received.error, [KEY])
  for (const secret of [KEY, '127.0.0.1', 'http:']) expect(failure.message).not.toContain(secret)
  // The reason of a permanent refusal is for the caller.
  if (!failure.message.startsWith('The model provider refused the request'))
    expect(failure.message).not.toContain(PRIVATE)
  return failure
}

export const TOOL = {
  type: 'function' as const,
  name: 'weather',
  inputSchema: { type: 'object' as const, properties: { city: { type: 'string' as const } } },
}
