// Who may listen on a port: one, or several who have agreed.

import uws, { type TemplatedApp } from 'uWebSockets.js'
import { afterEach, describe, expect, it } from 'vitest'
import { ListenError, listen } from './listen.ts'

const HOST = '127.0.0.1'
let apps: TemplatedApp[] = []

afterEach(() => {
  for (const app of apps) app.close()
  apps = []
})

async function open(port: number, shared?: boolean): Promise<number> {
  const app = uws.App()
  apps.push(app)
  app.get('/', (res) => void res.end('here'))
  return uws.us_socket_local_port(await listen(app, HOST, port, shared))
}

describe('a port', () => {
  it('that is free is picked where none is named', async () => {
    const port = await open(0)
    expect(await (await fetch(`http://${HOST}:${port}/`)).text()).toBe('here')
  })

  it('that is taken is refused in words', async () => {
    const port = await open(0)
    await expect(open(port)).rejects.toThrow(new ListenError(`PARLEY_PORT ${port} on ${HOST} is taken.`))
  })

  it('that is shared has several who listen', async () => {
    const port = await open(0, true)
    expect(await open(port, true)).toBe(port)
    for (let asked = 0; asked < 20; asked += 1) {
      const answer = await fetch(`http://${HOST}:${port}/`, { headers: { connection: 'close' } })
      expect(await answer.text()).toBe('here')
    }
  })
})
