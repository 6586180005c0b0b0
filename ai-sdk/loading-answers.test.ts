// A transport whose code for answers is loaded on demand: what happens until then, and if it cannot be loaded.
import type { SessionView } from '@parley/client'
import type { UIMessage } from 'ai'
import { expect, it, vi } from 'vitest'
import { ended, MESSAGE, started, text, viewsOf } from './test/logs.ts'

/** A chat whose session has one answer, and a transport that has not loaded anything. */
async function fresh() {
  vi.resetModules()
  const { ParleyChatTransport } = await import('./chat-transport.ts')
  const { loadAnswers } = await import('./loading-answers.ts')
  const last = viewsOf([MESSAGE, started('new', 0), text(0, 'Hello'), ended(1)]).at(-1) as SessionView
  const listeners = new Set<() => void>()
  const session = {
    state: { ...last, status: 'live' },
    subscribe(listener: () => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    watch: () => () => undefined,
  }
  const shown: UIMessage[][] = []
  const chat = {
    ...{ id: 'trip', status: 'ready' as const, messages: [], resumeStream: async () => undefined },
    setMessages: (update: (messages: UIMessage[]) => UIMessage[]) => void shown.push(update([])),
  }
  const transport = new ParleyChatTransport({ client: { session: () => session, state: {} } as never })
  return { transport, loadAnswers, chat, shown }
}

it('shows the conversation when the code is loaded, but not after the chat has left', async () => {
  const { transport, loadAnswers, chat, shown } = await fresh()
  transport.follow(chat)()
  const stop = transport.follow(chat)
  expect(shown).toEqual([])
  await loadAnswers()
  await vi.waitFor(() => expect(shown).toHaveLength(1))
  expect(shown[0]?.map(({ role }) => role)).toEqual(['user', 'assistant'])
  stop()
})

it('tries again if the code could not be loaded in the background', async () => {
  const broken = vi.fn(() => {
    throw new TypeError('Failed to fetch dynamically imported module')
  })
  vi.doMock('./answers.ts', broken)
  const { transport, chat, shown } = await fresh()
  await vi.waitFor(() => expect(broken).toHaveBeenCalledTimes(1))
  vi.doUnmock('./answers.ts')
  expect(await transport.messages('trip')).toHaveLength(2)
  transport.follow(chat)()
  expect(shown).toHaveLength(1)
})
