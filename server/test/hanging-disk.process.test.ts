// A real server whose disk hangs: the process logs an error and exits, and everything that it has acknowledged is
// there after the next start.
import { expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { StrictClient } from './strict-client.ts'

const LAST_WORDS = 'the log can no longer be written; exiting for a restart'

it('a server whose disk hangs exits, and continues after a restart without loss of acknowledged data', async () => {
  const preload = new URL('hanging-disk.mjs', import.meta.url).href
  const server = await ServerProcess.start({}, { execArgv: ['--import', preload] })
  try {
    const client = new StrictClient(server.url)
    await client.connect()
    await client.attach('s')
    const whole = await client.send('s', '/demo count=5 rate=0')
    await client.ended('s', whole.run ?? '')
    const output = client.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.output')
    const { run = '' } = await client.send('s', '/demo count=2000 rate=100')
    await output
    process.kill(server.pid, 'SIGUSR2')
    await expect.poll(() => server.alive, { timeout: 30_000 }).toBe(false)
    const isLogged = () => server.logs.some((line) => line.includes('"fatal"') && line.includes(LAST_WORDS))
    await expect.poll(isLogged).toBe(true)

    await server.start()
    const again = new StrictClient(server.url)
    await again.connect()
    await again.attach('s')
    expect((await again.ended('s', whole.run ?? '')).text).toBe('0 1 2 3 4')
    // The other run continues with a new driver: the preload lets the disk hang only on a signal.
    await again.command({ type: 'cancel', id: 'stop', session: 's', run })
    expect((await again.ended('s', run)).ended?.reason).toBe('cancelled')
    expect(again.session('s').faults).toEqual([])
    again.drop()
    client.drop()
  } finally {
    await server.dispose()
  }
})
