// The browser's own EventSource: it survives a restart of the server in the middle of an answer, gets everything once, and
// stops at the end.
import type { EntryFrame } from '@parley/protocol'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { demoCount } from '../../server/test/strict-client.ts'
import { Receiver } from '../../server/test/transports/receiver.ts'
import { sendAsync } from '../../server/test/transports/stream-transports.ts'
import { launch } from './browser.ts'

const COUNT = 150

let server: ServerProcess
let browser: Browser

beforeAll(async () => {
  ;[server, browser] = await Promise.all([ServerProcess.start({ PARLEY_DRAIN: '1' }), launch()])
})
afterAll(async () => {
  await browser.close()
  await server.dispose()
})

it.each(['SIGTERM', 'SIGKILL'])('gets the whole answer although the server restarts after %s', async (signal) => {
  const origin = `http://127.0.0.1:${server.port}`
  const session = `es_${signal}`
  const { run } = await sendAsync(origin, {
    session,
    id: `msg_${signal}`,
    content: `/demo count=${COUNT} rate=30 ttft=0`,
  })
  const receiver = new Receiver()
  let restarted: Promise<void> | undefined
  const page = await (await browser.newContext()).newPage()
  await page.exposeFunction('take', (data: string) => {
    receiver.take({ kind: 'entry', entry: JSON.parse(data) as EntryFrame })
    if (receiver.picture.run(receiver.run).next > 20) restarted ??= restart(signal)
  })
  await page.goto(`${origin}/healthz`)
  await page.evaluate(
    (address) =>
      new Promise<unknown>((resolve) => {
        const send = (globalThis as unknown as { take(data: string): Promise<void> }).take
        const all: Promise<void>[] = []
        const source = new EventSource(address)
        for (const type of ['message', 'run.started', 'run.output', 'run.ended']) {
          source.addEventListener(type, (event) => all.push(send((event as MessageEvent<string>).data)))
        }
        source.addEventListener('error', () => {
          if (source.readyState === source.CLOSED) resolve(Promise.all(all))
        })
      }),
    `/v1/sessions/${session}/events?run=${run}`,
  )
  await restarted
  receiver.expectText(demoCount(COUNT))
  expect([restarted === undefined, receiver.state, receiver.picture.run(receiver.run).ends]).toEqual([
    false,
    'completed',
    1,
  ])
})

async function restart(signal: string): Promise<void> {
  await (signal === 'SIGTERM' ? server.stop() : server.kill())
  await server.start()
}
