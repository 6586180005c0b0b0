// SdkDriver: uses the project's own SDK, which selects its transport. The verifier checks the events that programs
// receive.
import { ParleyClient, ParleyError, type Reply, type SendOptions, type Session } from '@parley/client'
import { type AskRequest, type DriverContext, type DriverUser, Refused } from './driver.ts'

export class SdkDriver implements DriverUser {
  readonly #client: ParleyClient
  readonly #session: Session
  readonly #model: string | undefined

  constructor({ url, token, session, model }: DriverContext) {
    this.#client = new ParleyClient({ url, ...(token === undefined ? {} : { token }) })
    this.#session = this.#client.session(session)
    this.#model = model
  }

  /** The SDK connects on its own, and queues commands until then. */
  arrive(): Promise<void> {
    return Promise.resolve()
  }

  async ask({ id, content, verifier, watch, gaveUp }: AskRequest): Promise<void> {
    const reply = this.#send(content, { id, ...(this.#model === undefined ? {} : { model: this.#model }) })
    const cancel = async () => {
      const { run } = await reply.accepted
      await this.#session.cancel(run)
    }
    gaveUp.addEventListener('abort', () => cancel().catch(() => undefined), { once: true })
    let away = false
    const unsubscribe = this.#client.subscribe(() => {
      const gone = this.#client.state.status !== 'open'
      if (gone === away) return
      away = gone
      if (gone) watch.interrupted()
      else watch.resumed()
    })
    try {
      for await (const { cursor, event } of reply.events()) {
        const outputs = verifier.take(cursor, event)
        if (outputs > 0) watch.outputs(outputs)
      }
    } catch (error) {
      throw refusal(error)
    } finally {
      unsubscribe()
    }
  }

  #send(content: string, options: SendOptions): Reply {
    try {
      return this.#session.send(content, options)
    } catch (error) {
      throw refusal(error)
    }
  }

  close(): void {
    // The process exits soon, so nobody waits.
    this.#client.close().catch(() => undefined)
  }
}

function refusal(error: unknown): Refused {
  return new Refused(error instanceof ParleyError ? error.code : String(error))
}
