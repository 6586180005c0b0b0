// A chat of the AI SDK in StrictMode, as a page would have it. chat-app-6.ts and chat-app-7.ts load it with their version
// of `useChat`.
import { ParleyChatTransport } from '@parley/ai-sdk'
import { ParleyClient } from '@parley/client'
import type { UIMessage } from 'ai'
import { createElement as h, StrictMode, useEffect } from 'react'
import { createRoot } from 'react-dom/client'

/** The part of `useChat` that both versions have. */
export type UseChat = (options: object) => {
  readonly id: string
  readonly messages: UIMessage[]
  readonly status: 'submitted' | 'streaming' | 'ready' | 'error'
  readonly error: Error | undefined
  sendMessage(message: { text: string }): Promise<void>
  regenerate(): Promise<void>
  stop(): Promise<void>
  setMessages(messages: UIMessage[] | ((messages: UIMessage[]) => UIMessage[])): void
  resumeStream(): Promise<void>
  addToolApprovalResponse(response: { id: string; approved: boolean }): unknown
  addToolOutput(output: { tool: string; toolCallId: string; output: unknown }): unknown
}

interface Helpers {
  readonly useChat: UseChat
  /** Whether the chat sends its last message, with approvals or outputs. */
  readonly sendAutomaticallyWhen: (options: { messages: UIMessage[] }) => boolean
}

declare global {
  interface Window {
    chat: { readonly current: ReturnType<UseChat> | undefined; requests: number; errors: string[] }
  }
}

const client = new ParleyClient({ url: location.origin, reconnect: { baseMs: 50, maxMs: 500 } })
const transport = new ParleyChatTransport({
  client,
  tools: [
    { name: 'page_title', execute: () => ({ title: document.title }) },
    { name: 'erase', approval: true, execute: () => 'erased' },
    { name: 'ask_user' },
  ],
})
const { sendMessages } = transport
const counted = Object.assign(transport, {
  sendMessages: (options: Parameters<typeof sendMessages>[0]) => {
    window.chat.requests += 1
    return sendMessages(options)
  },
})
const id = new URLSearchParams(location.search).get('session') ?? 'chat'

export function show({ useChat, sendAutomaticallyWhen }: Helpers): void {
  let current: ReturnType<UseChat> | undefined
  window.chat = {
    get current() {
      return current
    },
    requests: 0,
    errors: [],
  }
  function Chat() {
    const chat = useChat({
      id,
      transport: counted,
      sendAutomaticallyWhen,
      onError: (error: Error) => window.chat.errors.push(error.message),
    })
    current = chat
    // biome-ignore lint/correctness/useExhaustiveDependencies: the chat is another object in each render.
    useEffect(() => transport.follow(chat), [chat.id, chat.status])
    return h(
      'main',
      { 'data-status': chat.status },
      chat.messages.map((message) => h(Message, { key: message.id, message, chat })),
    )
  }
  createRoot(document.body.appendChild(document.createElement('div'))).render(h(StrictMode, null, h(Chat)))
}

function Message({ message, chat }: { readonly message: UIMessage; readonly chat: ReturnType<UseChat> }) {
  return h(
    'article',
    { 'data-role': message.role },
    message.parts.map((part, at) => {
      if (part.type === 'text') return h('span', { key: at, className: 'text', 'data-state': part.state }, part.text)
      if (part.type !== 'dynamic-tool') return null
      const { toolCallId, toolName, state, approval } = part
      const approve = (): unknown => chat.addToolApprovalResponse({ id: approval?.id ?? '', approved: true })
      const answer = (): unknown => chat.addToolOutput({ tool: toolName, toolCallId, output: { size: 'big' } })
      // Another tab may have claimed the call.
      const isAsked = state === 'input-available' && toolName === 'ask_user' && part.providerExecuted !== true
      return h(
        'code',
        { key: at, 'data-state': state },
        state === 'approval-requested' ? h('button', { type: 'button', onClick: approve }, 'Approve') : null,
        isAsked ? h('button', { type: 'button', onClick: answer }, 'Big') : null,
      )
    }),
  )
}
