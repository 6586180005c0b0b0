// What nginx repeats, with the guide's lines for several nodes: not a request that waited long for its answer. Such a request
// may have no idempotency key, and its second attempt would start a second run.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { GuideProxy } from './guide-proxy.ts'
import { KINDS } from './kinds.ts'

/** Milliseconds after which the node fails: longer than the guide's `proxy_next_upstream_timeout`. */
const SILENT_MS = 10_500

const nodes: Server[] = []
let proxy: GuideProxy | undefined

afterEach(async () => {
  await proxy?.dispose()
  for (const node of nodes.splice(0)) {
    node.close()
    node.closeAllConnections()
  }
})

it('nginx does not repeat a POST that its node failed to answer for longer than 10 s', async () => {
  const received: string[] = []
  const ports = await Promise.all(
    ['one', 'two'].map(async (name) => {
      const node = createServer(({ socket }) => {
        received.push(name)
        setTimeout(() => socket.destroy(), SILENT_MS)
      })
      nodes.push(node)
      await once(node.listen(0, '127.0.0.1'), 'listening')
      return (node.address() as AddressInfo).port
    }),
  )
  const [nginx] = KINDS.filter(({ name }) => name === 'nginx')
  if (nginx === undefined) throw new Error('nginx is missing')
  proxy = await GuideProxy.start(nginx, ...ports)
  const response = await fetch(`${proxy.origin}/v1/chat/completions`, { method: 'POST', body: '{}' })
  expect([response.status, received.length]).toEqual([502, 1])
})
