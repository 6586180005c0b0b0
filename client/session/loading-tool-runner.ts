// LoadingToolRunner: runs tool calls with code that is loaded once this client offers a tool. Until then calls wait: the server keeps
// their offers in the log, and the loaded runner starts from the current view.
import type { EntryFrame } from '@parley/protocol'
import type { Connection } from '../connection/connection.ts'
import type { ParleyError } from '../parley-error.ts'
import type { ClientTool, Session } from './session.ts'
import type { SessionView } from './session-view.ts'
import type { ToolRunner } from './tool-runner.ts'

export class LoadingToolRunner {
  readonly #session: Session
  readonly #connection: Connection
  #tools: readonly ClientTool[]
  #runner: ToolRunner | undefined
  #isLoading = false
  #isClosed = false

  constructor(session: Session, connection: Connection, tools: readonly ClientTool[]) {
    this.#session = session
    this.#connection = connection
    this.#tools = tools
    this.#load()
  }

  setTools(tools: readonly ClientTool[]): void {
    this.#tools = tools
    this.#runner?.setTools(tools)
    this.#load()
  }

  /** The view is live. If the code could not be loaded before, this tries again. */
  live(view: SessionView): void {
    this.#runner?.live(view)
    this.#load()
  }

  /** @param view the session after the entry. A new call tries again to load the code, as `live` does. */
  entry(frame: EntryFrame, view: SessionView): void {
    this.#runner?.entry(frame, view)
    if (frame.event.type === 'tool.called') this.#load()
  }

  close(reason: ParleyError): void {
    this.#isClosed = true
    this.#runner?.close(reason)
  }

  #load(): void {
    if (this.#runner !== undefined || this.#isLoading || this.#isClosed || this.#tools.length === 0) return
    this.#isLoading = true
    import('./tool-runner.ts')
      .then(
        ({ ToolRunner: Runner }) => {
          if (this.#isClosed) return
          this.#runner = new Runner(this.#session, this.#connection, this.#tools)
          this.#runner.live(this.#session.state)
        },
        (error: unknown) => {
          this.#connection.logger?.warn({ err: error }, 'failed to load the code that runs tools')
        },
      )
      .finally(() => {
        this.#isLoading = false
      })
  }
}
