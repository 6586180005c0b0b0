// Listening on a port: exclusively by default, or shared by several servers.

import { afterEach, describe, expect, it } from 'vitest'
import { loadUws, type TemplatedApp } from '../uws.ts'
import { ListenError, listen } from './listen.ts'

const HOST = '127.0.0.1'
let apps: TemplatedApp[] = []

afterEach(() => {
  for (const app of apps) app.close()
  apps = []
})

async function open(port: number, shared?: boolean): Promise<number> {
  const { uws } = loadUws()
  const app = uws.App()
  apps.push(app)
  app.get('/', (res) => void res.end('here'))
  return uws.us_socket_local_port(await listen(app, HOST, port, shared))
}

describe('listen', () => {
  it('picks a free port for port 0', async () => {
    const port = await open(0)
    expect(await (await fetch(`http://${HOST}:${port}/`)).text()).toBe('here')
  })

  it('rejects a port that is in use, with an error that names it', async () => {
    const port = await open(0)
    await expect(open(port)).rejects.toThrow(new ListenError(`PARLEY_PORT ${port} on ${HOST} is already in use.`))
  })

  it('lets several servers listen on a shared port', async () => {
    const port = await open(0, true)
    expect(await open(port, true)).toBe(port)
    for (let request = 0; request < 20; request += 1) {
      const answer = await fetch(`http://${HOST}:${port}/`, { headers: { connection: 'close' } })
      expect(await answer.text()).toBe('here')
    }
  })
})
