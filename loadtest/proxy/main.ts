// The proxy process: starts one proxy for each server, and sends their URLs, and their counts on request.
import { ImpairingProxy } from './impairing-proxy.ts'
import type { Impairments } from './impairments.ts'

export interface ProxyJob {
  readonly targets: readonly string[]
  readonly impairments: Impairments
  readonly seed: number
}

export type FromProxy =
  | { readonly type: 'ready'; readonly urls: readonly string[] }
  | { readonly type: 'counts'; readonly counts: readonly ImpairingProxy['counts'][] }

const send = (message: FromProxy): void => {
  process.send?.(message)
}

process.once('message', ({ targets, impairments, seed }: ProxyJob) => {
  Promise.all(targets.map((target) => ImpairingProxy.start(target, impairments, seed))).then(
    (proxies) => {
      process.on('message', () => send({ type: 'counts', counts: proxies.map(({ counts }) => counts) }))
      send({ type: 'ready', urls: proxies.map(({ url }) => url) })
    },
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exit(1)
    },
  )
})
// The load test has exited.
process.once('disconnect', () => process.exit(0))
