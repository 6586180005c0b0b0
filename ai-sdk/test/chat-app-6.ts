// The chat with `useChat` for `ai` 6.
import { useChat } from '@ai-sdk/react-6'
import { lastAssistantMessageIsCompleteWithApprovalResponses, lastAssistantMessageIsCompleteWithToolCalls } from 'ai-6'
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
