// A server for the examples: the one at PARLEY_URL, else one of their own, with the demo model and an empty folder.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Runs the example against a server, and stops the server afterwards if it was started for it. */
export async function withServer(example: (url: string) => Promise<void>): Promise<void> {
  const given = process.env.PARLEY_URL
  if (given !== undefined) {
    await example(given)
    return
  }
  const data = await mkdtemp(join(tmpdir(), 'parley-example-'))
  const main = fileURLToPath(new URL('../../server/dist/main.js', import.meta.url))
  const server = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, PARLEY_PORT: '0', PARLEY_DATA: data },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(server, 'exit')
  try {
    await example(await listening(server.stdout))
  } finally {
    server.kill('SIGTERM')
    await exit
    await rm(data, { recursive: true, force: true })
  }
}

/** The URL from the line that the server logs when it listens. */
async function listening(log: NodeJS.ReadableStream): Promise<string> {
  const lines = createInterface({ input: log })
  for await (const line of lines) {
    const entry = JSON.parse(line) as { readonly listening?: boolean; readonly url?: string }
    if (entry.listening === true && entry.url !== undefined) {
      // What it logs later is not for the examples, but has to be read.
      log.resume()
      return entry.url
    }
  }
  throw new Error('the server stopped before it listened')
}
