// A disk that answers no more, under a real server: nobody waits for ever. The process ends, in words, and what it had acknowledged
// is there after the next start.
import { expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { StrictClient } from './strict-client.ts'

const LAST_WORDS = 'the log cannot be written any more: the process ends, to be started anew'

it('a server whose disk hangs ends, and goes on from what it had acknowledged when it is started anew', async () => {
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
    const isSaid = () => server.logs.some((line) => line.includes('"fatal"') && line.includes(LAST_WORDS))
    await expect.poll(isSaid).toBe(true)

    await server.start()
    const again = new StrictClient(server.url)
    await again.connect()
    await again.attach('s')
    expect((await again.ended('s', whole.run ?? '')).text).toBe('0 1 2 3 4')
    // The other one goes on, by another owner: the preload makes this disk hang on a signal alone.
    await again.command({ type: 'cancel', id: 'stop', session: 's', run })
    expect((await again.ended('s', run)).ended?.reason).toBe('cancelled')
    expect(again.session('s').faults).toEqual([])
    again.drop()
    client.drop()
  } finally {
    await server.dispose()
  }
})
