// The chat with `useChat` for `ai` 7.
import { useChat } from '@ai-sdk/react'
import { lastAssistantMessageIsCompleteWithApprovalResponses, lastAssistantMessageIsCompleteWithToolCalls } from 'ai'
import { show, type UseChat } from './chat-app.ts'

show({
  useChat: useChat as unknown as UseChat,
  sendAutomaticallyWhen: (options) => {
    const messages = options as never
    return (
      lastAssistantMessageIsCompleteWithApprovalResponses(messages) ||
      lastAssistantMessageIsCompleteWithToolCalls(messages)
    )
  },
})
