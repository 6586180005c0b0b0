// OfferedTools: the tools that a session offers. They can change while the session is open.
import type { Tool } from '@parley/protocol'
import type { ClientTool } from './session.ts'
import { declaration } from './tool.ts'

export class OfferedTools {
  #tools: readonly ClientTool[]
  readonly #changed: () => void
  #isScheduled = false

  /** @param changed called in a microtask after changes: all changes of a turn of the event loop cost one `attach` */
  constructor(tools: readonly ClientTool[], changed: () => void) {
    this.#tools = tools
    this.#changed = changed
  }

  get list(): readonly ClientTool[] {
    return this.#tools
  }

  declarations(): Tool[] {
    return this.#tools.map(declaration)
  }

  /** Replaces a tool with the same name. @returns a function that removes the tool */
  add(added: ClientTool): () => void {
    this.#set([...this.#tools.filter(({ name }) => name !== added.name), added])
    return () => {
      if (this.#tools.includes(added)) this.#set(this.#tools.filter((other) => other !== added))
    }
  }

  #set(tools: readonly ClientTool[]): void {
    this.#tools = tools
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#changed()
    })
  }
}
