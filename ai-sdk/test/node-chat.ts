// NodeChat: the core of `useChat` without React, of either version of `ai`.
import type { ChatTransport, UIMessage } from 'ai'
import * as ai7 from 'ai'
import * as ai6 from 'ai-6'

type Version = typeof ai7

export const VERSIONS: readonly (readonly [name: string, ai: Version])[] = [
  ['ai 6', ai6 as unknown as Version],
  ['ai 7', ai7],
]

type Init = Omit<ConstructorParameters<typeof ai7.AbstractChat<UIMessage>>[0], 'state'> & { messages?: UIMessage[] }
type Status = 'submitted' | 'streaming' | 'ready' | 'error'

class State {
  error: Error | undefined
  #messages: UIMessage[]
  #status: Status = 'ready'
  readonly #changed: () => void

  constructor(messages: UIMessage[], changed: () => void) {
    this.#messages = messages
    this.#changed = changed
  }

  get messages(): UIMessage[] {
    return this.#messages
  }

  set messages(messages: UIMessage[]) {
    this.#messages = [...messages]
    this.#changed()
  }

  get status(): Status {
    return this.#status
  }

  set status(status: Status) {
    this.#status = status
    this.#changed()
  }

  readonly pushMessage = (message: UIMessage): void => {
    this.messages = [...this.#messages, structuredClone(message)]
  }

  readonly popMessage = (): void => {
    this.messages = this.#messages.slice(0, -1)
  }

  readonly replaceMessage = (index: number, message: UIMessage): void => {
    this.messages = this.#messages.with(index, structuredClone(message))
  }

  readonly snapshot = <T>(thing: T): T => structuredClone(thing)
}

export type NodeChat = ai7.AbstractChat<UIMessage> & {
  /** Resolves when the chat is so after a change. */
  until(holds: (chat: NodeChat) => boolean): Promise<void>
  readonly last: UIMessage | undefined
  /** How often `sendMessages` was called. */
  readonly requests: number
  setMessages(update: (messages: UIMessage[]) => UIMessage[]): void
  /** Follows as an effect of React does. */
  follow(transport: { follow(chat: NodeChat): () => void }): void
}

export function nodeChat(ai: Version, init: Init & { transport: ChatTransport<UIMessage> }): NodeChat {
  const listeners = new Set<() => void>()
  const state = new State(init.messages ?? [], () => {
    for (const listener of [...listeners]) listener()
  })
  let requests = 0
  const { transport } = init
  const counted: ChatTransport<UIMessage> = {
    ...(transport.resumeStreamIsReplay === undefined ? {} : { resumeStreamIsReplay: transport.resumeStreamIsReplay }),
    sendMessages: (options) => {
      requests += 1
      return transport.sendMessages(options)
    },
    reconnectToStream: (options) => transport.reconnectToStream(options),
  }
  class Chat extends ai.AbstractChat<UIMessage> {
    get requests(): number {
      return requests
    }

    get last(): UIMessage | undefined {
      return this.messages.at(-1)
    }

    setMessages(update: (messages: UIMessage[]) => UIMessage[]): void {
      this.messages = update(this.messages)
    }

    until(holds: (chat: NodeChat) => boolean): Promise<void> {
      return new Promise((resolve) => {
        const look = (): void => {
          if (!holds(this as unknown as NodeChat)) return
          listeners.delete(look)
          resolve()
        }
        listeners.add(look)
        look()
      })
    }

    follow(by: { follow(chat: NodeChat): () => void }): void {
      let status: Status | undefined
      let stop = (): void => undefined
      const effect = (): void => {
        if (status === this.status) return
        status = this.status
        stop()
        // Effects run after the change.
        queueMicrotask(() => {
          if (status === this.status) stop = by.follow(this as unknown as NodeChat)
        })
      }
      listeners.add(effect)
      effect()
    }
  }
  return new Chat({ ...init, transport: counted, state: state as never }) as unknown as NodeChat
}

export function textOf(message: UIMessage | undefined): string {
  return (message?.parts ?? []).flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('')
}

/** Whether nothing in the message waits for more. */
export function isDone(message: UIMessage | undefined): boolean {
  return (message?.parts ?? []).every(
    (part) => !('state' in part) || part.state === 'done' || String(part.state).startsWith('output-'),
  )
}

/** The first call, or the first one of this tool. */
export function toolOf(message: UIMessage | undefined, name?: string): ai7.DynamicToolUIPart | undefined {
  return message?.parts.find(
    (part): part is ai7.DynamicToolUIPart =>
      part.type === 'dynamic-tool' && (name === undefined || part.toolName === name),
  )
}
