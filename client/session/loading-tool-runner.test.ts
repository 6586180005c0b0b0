// Tools whose code is loaded on demand: calls that are offered before, and code that cannot be loaded.
import { afterEach, expect, it, vi } from 'vitest'
import type { Connection } from '../connection/connection.ts'
import { ParleyError } from '../parley-error.ts'
import type { ClientTool, Session } from './session.ts'
import { newSession } from './session-view.ts'

const TOOL: ClientTool = { name: 'clock', execute: () => 1 }
const session = { state: newSession('s1', undefined) } as Session

afterEach(() => vi.doUnmock('./tool-runner.ts'))

/** A fresh copy of the module, with a runner that records its calls. */
async function fresh(load: () => void = () => undefined) {
  vi.resetModules()
  const calls: string[] = []
  vi.doMock('./tool-runner.ts', () => {
    load()
    return {
      ToolRunner: class {
        constructor(_session: Session, _connection: Connection, tools: readonly ClientTool[]) {
          calls.push(`new ${tools.map(({ name }) => name)}`)
        }
        live(): void {
          calls.push('live')
        }
        setTools(): void {
          calls.push('setTools')
        }
        close(): void {
          calls.push('close')
        }
      },
    }
  })
  const { LoadingToolRunner } = await import('./loading-tool-runner.ts')
  return { LoadingToolRunner, calls }
}

function connection(warn = vi.fn()): Connection {
  return { logger: { warn } } as unknown as Connection
}

it('loads nothing without tools, and starts from the current view', async () => {
  const load = vi.fn()
  const { LoadingToolRunner, calls } = await fresh(load)
  const runner = new LoadingToolRunner(session, connection(), [])
  runner.live(session.state)
  await vi.dynamicImportSettled()
  expect(load).not.toHaveBeenCalled()
  runner.setTools([TOOL])
  runner.setTools([TOOL, { ...TOOL, name: 'map' }])
  await vi.waitFor(() => expect(calls).toEqual(['new clock,map', 'live']))
  expect(load).toHaveBeenCalledOnce()
})

it('starts nothing if the session is closed before', async () => {
  const load = vi.fn()
  const { LoadingToolRunner, calls } = await fresh(load)
  new LoadingToolRunner(session, connection(), [TOOL]).close(new ParleyError('closed', 'The session was closed.'))
  await vi.waitFor(() => expect(load).toHaveBeenCalledOnce())
  await vi.dynamicImportSettled()
  expect(calls).toEqual([])
})

it('tries again with the next live view if its code cannot be loaded', async () => {
  const warn = vi.fn()
  const { LoadingToolRunner } = await fresh(() => {
    throw new TypeError('Failed to fetch dynamically imported module')
  })
  const runner = new LoadingToolRunner(session, connection(warn), [TOOL])
  await vi.waitFor(() => expect(warn).toHaveBeenCalledOnce())
  vi.doUnmock('./tool-runner.ts')
  const live = vi.fn()
  vi.doMock('./tool-runner.ts', () => ({
    ToolRunner: class {
      live = live
    },
  }))
  await vi.waitFor(() => {
    runner.live(session.state)
    expect(live).toHaveBeenCalled()
  })
})
