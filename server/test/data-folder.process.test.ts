// A real server whose data folder cannot be written, or is gone. It said that it was ready, and acknowledged messages
// into deleted files while a second server used the same path.
import { mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { freePort } from '../../bench/cluster/free-port.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'

const WAIT = { timeout: 20_000, interval: 20 }

interface Answer {
  readonly status: number
  readonly code?: string
}

/** Status 0 if the server is gone. */
async function request(server: ServerProcess, path: string, body?: object): Promise<Answer> {
  const init =
    body === undefined
      ? {}
      : {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', Prefer: 'respond-async' },
          body: JSON.stringify(body),
        }
  try {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init)
    const { code } = (await response.json()) as { code?: string }
    return { status: response.status, ...(code === undefined ? {} : { code }) }
  } catch {
    return { status: 0 }
  }
}

const ready = async (server: ServerProcess): Promise<number> => (await request(server, '/readyz')).status
const send = (server: ServerProcess, session: string): Promise<Answer> =>
  request(server, `/v1/sessions/${session}/messages`, { content: '/demo count=1 rate=0' })
it('a server is not ready while its probe of the folder fails, and exits if its data folder is removed', async () => {
  const server = await ServerProcess.start()
  const second = new ServerProcess({ PARLEY_DATA: join(server.data, 'data') }, await freePort())
  try {
    expect(await ready(server)).toBe(200)
    expect(await send(server, 'before')).toEqual({ status: 202 })

    // The file that the probe writes. A limit of the size of files would let LMDB write, and its failed writes can end the
    // process (environment.ts).
    const probe = join(server.data, 'data', 'journal', 'probe')
    mkdirSync(probe)
    await expect.poll(() => ready(server), WAIT).toBe(503)
    rmdirSync(probe)
    await expect.poll(() => ready(server), WAIT).toBe(200)
    expect(await send(server, 'again')).toEqual({ status: 202 })

    rmSync(join(server.data, 'data'), { recursive: true })
    const [, ...answers] = await Promise.all([second.start(), send(server, 'gone'), send(server, 'gone-too')])
    for (const answer of answers) expect([0, 503], JSON.stringify(answer)).toContain(answer.status)
    await expect.poll(() => server.alive, WAIT).toBe(false)
    expect(await server.stop()).toBe(3)
    const isLogged = (line: string): boolean =>
      line.includes('the log can no longer be written; exiting') && line.includes('was removed or replaced')
    await expect.poll(() => server.logs.some(isLogged)).toBe(true)
    expect(await send(second, 'new')).toEqual({ status: 202 })
  } finally {
    await second.dispose()
    await server.dispose()
  }
})

// The first server never noticed, and both wrote into the same files.
it('a server exits if the socket is removed by which others see that its data folder is in use', async () => {
  const server = await ServerProcess.start()
  const data = join(server.data, 'data')
  const second = new ServerProcess({ PARLEY_DATA: data }, await freePort())
  try {
    await expect(second.start()).rejects.toThrow('is in use by another Parley server')
    const [socket = '', ...others] = readdirSync(data).filter((name) => name.endsWith('.sock'))
    expect(others).toEqual([])
    rmSync(join(data, socket))
    await expect.poll(() => server.alive, WAIT).toBe(false)
    expect(await server.stop()).toBe(3)
    await second.start()
    expect(await send(second, 'new')).toEqual({ status: 202 })
  } finally {
    await second.dispose()
    await server.dispose()
  }
})
