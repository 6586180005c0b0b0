// GuideProxy: a proxy that cannot be started fails its tests with the reason.
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { GuideProxy, type ProxyKind } from './guide-proxy.ts'

it('reports a program that the system refuses to run', async () => {
  const kind: ProxyKind = {
    name: 'nginx',
    // Not executable.
    binary: fileURLToPath(import.meta.url),
    packages: [],
    version: ['-v'],
    config: ({ guide }) => guide,
    words: () => [],
  }
  await expect(GuideProxy.start(kind, 1)).rejects.toThrow(/^nginx unknown does not listen: .*EACCES/)
})
