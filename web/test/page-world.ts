// PageWorld: a real server, a real browser, and the users and clients of a test. `leave` fails the test if a page had a
// problem.
import { type ClientTool, ParleyClient, type Session } from '@parley/client'
import type { Browser, BrowserContextOptions } from 'playwright-core'
import { expect } from 'vitest'
import { freePort } from '../../bench/cluster/free-port.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { launch, Visitor } from './browser.ts'

export class PageWorld {
  readonly server: ServerProcess
  readonly browser: Browser
  readonly #visitors: Visitor[] = []
  readonly #clients: ParleyClient[] = []

  private constructor(server: ServerProcess, browser: Browser) {
    this.server = server
    this.browser = browser
  }

  /** @param env the server's settings @param prepare runs before the server starts */
  static async start(
    env: Readonly<Record<string, string>> = {},
    prepare: (server: ServerProcess) => Promise<void> = async () => undefined,
  ): Promise<PageWorld> {
    const server = new ServerProcess(env, await freePort())
    await prepare(server)
    await server.start()
    return new PageWorld(server, await launch())
  }

  get site(): string {
    return `http://127.0.0.1:${this.server.port}/`
  }

  get visitors(): readonly Visitor[] {
    return this.#visitors
  }

  async come(options?: BrowserContextOptions): Promise<Visitor> {
    const visitor = await Visitor.come(this.browser, options)
    this.#visitors.push(visitor)
    return visitor
  }

  connect(token?: string): ParleyClient {
    const client = new ParleyClient({ url: this.server.url, ...(token === undefined ? {} : { token }) })
    this.#clients.push(client)
    return client
  }

  /** Opens a session with an SDK client, and waits until it is live. */
  async join(id: string, tools: readonly ClientTool[] = [], token?: string): Promise<Session> {
    const session = this.connect(token).session(id, { tools })
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (session.state.status === 'live') resolve()
      }
      session.subscribe(look)
      look()
    })
    return session
  }

  /** Closes all visitors and clients. */
  async leave(): Promise<void> {
    const problems = this.#visitors.flatMap((visitor) => visitor.problems)
    await Promise.all(this.#visitors.splice(0).map((visitor) => visitor.leave()))
    await Promise.all(this.#clients.splice(0).map((client) => client.close()))
    expect(problems).toEqual([])
  }

  async dispose(): Promise<void> {
    await this.browser.close()
    await this.server.dispose()
  }
}
