// OpenAiHarness: a complete server with the demo model or the test's own, and OpenAI's client with the server's base
// URL.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '@parley/protocol'
import OpenAI from 'openai'
import { pino } from 'pino'
import { expect, vi } from 'vitest'
import { loadConfig } from '../../../config/config.ts'
import { createServer, type Server, type ServerOverrides } from '../../../create-server.ts'

export class OpenAiHarness {
  readonly server: Server
  readonly client: OpenAI
  readonly #folder: string

  private constructor(server: Server, folder: string) {
    this.server = server
    this.#folder = folder
    this.client = this.clientWith()
  }

  static async open(
    settings: Readonly<Record<string, string>> = {},
    overrides: ServerOverrides = {},
  ): Promise<OpenAiHarness> {
    const folder = mkdtempSync(join(tmpdir(), 'parley-openai-'))
    const config = await loadConfig({ PARLEY_DATA: folder, PARLEY_PORT: '0', PARLEY_DRAIN: '1', ...settings }, folder)
    return new OpenAiHarness(await createServer(config, pino({ level: 'silent' }), overrides), folder)
  }

  /** A client without retries, so that a test sees each answer. */
  clientWith(apiKey = 'none', headers: Readonly<Record<string, string>> = {}): OpenAI {
    return new OpenAI({ apiKey, baseURL: `${this.server.url}/v1`, maxRetries: 0, defaultHeaders: headers })
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(`${this.server.url}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  }

  /** Resolves with the first matching event of the session in a completion's or response's id. */
  async eventUntil(id: string, matches: (event: Event) => boolean): Promise<Event> {
    const session = sessionOf(id)
    let after = ''
    for (;;) {
      const response = await fetch(`${this.server.url}/v1/sessions/${session}/events?wait=20${after}`)
      const page = (await response.json()) as { cursor: string; entries: readonly { readonly event: Event }[] }
      const found = page.entries.map(({ event }) => event).find(matches)
      if (found !== undefined) return found
      after = `&after=${page.cursor}`
    }
  }

  /** Resolves when the session in a completion's or response's id is deleted. */
  async deleted(id: string): Promise<void> {
    await vi.waitFor(async () => {
      const { status } = await fetch(`${this.server.url}/v1/sessions/${sessionOf(id)}`)
      expect(status).toBe(410)
    }, 20_000)
  }

  async close(): Promise<void> {
    await this.server.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function sessionOf(id: string): string {
  return /^[a-z]+[-_]run_[a-z0-9]+-(.+)$/.exec(id)?.[1] ?? ''
}

/** The error of a request of OpenAI's client, which must fail. */
export async function failure(request: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof OpenAI.APIError) return error
  throw new Error('the request did not fail', { cause: error })
}
