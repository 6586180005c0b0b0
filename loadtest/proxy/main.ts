// The proxy's process: starts one proxy for each server, tells where they are, and what they did when it is asked to stop.
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

const tell = (message: FromProxy): void => {
  process.send?.(message)
}

process.once('message', ({ targets, impairments, seed }: ProxyJob) => {
  Promise.all(targets.map((target) => ImpairingProxy.start(target, impairments, seed))).then(
    (proxies) => {
      process.on('message', () => tell({ type: 'counts', counts: proxies.map(({ counts }) => counts) }))
      tell({ type: 'ready', urls: proxies.map(({ url }) => url) })
    },
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exit(1)
    },
  )
})
// Who began it is gone, and so is what it was for.
process.once('disconnect', () => process.exit(0))
