// The server that an example uses: the one at PARLEY_URL, or a new one with the demo model and an empty data folder.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/**
 * Runs the example against a server. Stops the server afterwards if it was started here.
 * @param env settings that the example needs; then it always starts a server
 */
export async function withServer(
  example: (url: string) => Promise<void>,
  env?: Readonly<Record<string, string>>,
): Promise<void> {
  const given = process.env.PARLEY_URL
  if (given !== undefined && env === undefined) {
    await example(given)
    return
  }
  const data = await mkdtemp(join(tmpdir(), 'parley-example-'))
  const main = fileURLToPath(new URL('../../server/dist/main.js', import.meta.url))
  const server = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, PARLEY_PORT: '0', PARLEY_DATA: data, ...env },
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

/** @returns the URL in the line that the server logs when it is ready */
async function listening(log: NodeJS.ReadableStream): Promise<string> {
  const lines = createInterface({ input: log })
  for await (const line of lines) {
    const entry = JSON.parse(line) as { readonly listening?: boolean; readonly url?: string }
    if (entry.listening === true && entry.url !== undefined) {
      // Keep reading: a full pipe would block the server.
      log.resume()
      return entry.url
    }
  }
  throw new Error('The server exited before it was ready.')
}
