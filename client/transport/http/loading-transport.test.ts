// HTTP transports whose code is loaded on demand: what happens until then, and if it cannot be loaded.
import type { ServerFrame } from '@parley/protocol'
import { expect, it, vi } from 'vitest'
import { SYSTEM_CLOCK } from '../../client-options.ts'
import { type Loss, transportOptions } from '../transport.ts'

const WELCOME = { type: 'welcome', connection: 'con_1', user: 'anonymous', node: 'n', heartbeatMs: 15_000, time: 0 }

/** A fresh copy of the module, which has not loaded anything. */
async function fresh() {
  vi.resetModules()
  return import('./loading-transport.ts')
}

function options(fetch: typeof globalThis.fetch) {
  return transportOptions({ url: 'http://parley.test', fetch, clock: SYSTEM_CLOCK }, undefined)
}

it('opens when its code is loaded, and so does the next one', async () => {
  const { openHttp } = await fresh()
  const fetch = vi.fn(async () => Response.json(WELCOME))
  const opened = () =>
    new Promise<readonly ServerFrame[]>((resolve) => {
      openHttp('sse', options(fetch), { frames: resolve, lost: () => undefined })
    })
  expect(fetch).not.toHaveBeenCalled()
  expect((await opened())[0]).toMatchObject({ type: 'welcome' })
  const requests = fetch.mock.calls.length
  expect((await opened())[0]).toMatchObject({ type: 'welcome' })
  expect(fetch.mock.calls.length).toBeGreaterThan(requests)
})

it('sends nothing if it is closed before', async () => {
  const { loadHttp, openHttp } = await fresh()
  const fetch = vi.fn(async () => Response.json(WELCOME))
  const transport = openHttp('sse', options(fetch), { frames: () => undefined, lost: () => undefined })
  transport.renew()
  transport.close()
  transport.releaseTools?.()
  await loadHttp()
  expect(fetch).not.toHaveBeenCalled()
})

it('is lost as unreachable if its code cannot be loaded, and the next one tries again', async () => {
  vi.doMock('./http.ts', () => {
    throw new TypeError('Failed to fetch dynamically imported module')
  })
  const { loadHttp, openHttp } = await fresh()
  const fetch = vi.fn(async () => Response.json(WELCOME))
  const loss = await new Promise<Loss>((lost) => openHttp('sse', options(fetch), { frames: () => undefined, lost }))
  expect(loss).toMatchObject({ kind: 'unreachable', code: 1006 })
  vi.doUnmock('./http.ts')
  expect((await loadHttp()).HttpTransport).toBeTypeOf('function')
})
