// Declarations that overlap: a name belongs to one user from the first request on.
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Caller } from '../../session/commands/caller.ts'
import type { SessionService } from '../../session/session-service.ts'
import { HttpConnections } from './http-connections.ts'

const ADA: Caller = { connection: 'mine', user: 'ada', role: 'owner', roams: true }
const EVE: Caller = { ...ADA, user: 'eve' }

let attached: { readonly resolve: (role: string) => void; readonly reject: (error: Error) => void }
const detach = vi.fn()
let connections: HttpConnections

beforeEach(() => {
  detach.mockReset()
  const attach = () =>
    new Promise<string>((resolve, reject) => {
      attached = { resolve, reject }
    })
  connections = new HttpConnections({ attach, detach } as unknown as SessionService, 60_000)
})
afterEach(() => connections.close())

it('gives a name to one user, although both declare tools under it at once', async () => {
  const first = connections.arrive('s', ADA, [])
  await expect(connections.arrive('s', EVE, [])).rejects.toMatchObject({ code: 'forbidden' })
  attached.resolve('owner')
  await first
  expect(() => connections.leave('s', EVE)).toThrow('another user')
})

it('keeps no name for a refused declaration', async () => {
  const refused = connections.arrive('s', EVE, [])
  attached.reject(new Error('refused'))
  await expect(refused).rejects.toThrow('refused')
  expect(connections.size).toBe(0)
})

it('detaches a connection that was removed during its declaration', async () => {
  const late = connections.arrive('s', ADA, [])
  connections.leave('s', ADA)
  detach.mockReset()
  attached.resolve('owner')
  await late
  expect(connections.size).toBe(0)
  expect(detach).toHaveBeenCalledWith('s', ADA)
})
