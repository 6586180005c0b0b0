// A real server on a file system with space in which no file can be created. Only the server sees
// that file system, a tmpfs in its own mount namespace, so the test needs Linux, and root or user namespaces.
// journal/probe.mock.test.ts shows the same without them.
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'

const WAIT = { timeout: 20_000, interval: 20 }
const UNSHARE = ['unshare', '--user', '--map-root-user', '--mount']
const MOUNT = 'mount -t tmpfs -o nr_inodes=64 tmpfs'

it('a server is not ready while no file can be created, and is ready again when one can', async () => {
  const check = spawnSync(UNSHARE[0] as string, [...UNSHARE.slice(1), 'sh', '-c', `${MOUNT} /mnt`], {
    encoding: 'utf8',
  })
  if (check.status !== 0) throw new Error(`no file system can be mounted here: ${check.error?.message ?? check.stderr}`)
  const launcher = [...UNSHARE, 'sh', '-c', `mkdir "$PARLEY_DATA" && ${MOUNT} "$PARLEY_DATA" && exec "$0" "$@"`]
  const server = await ServerProcess.start({}, { launcher })
  const ready = async () => (await fetch(`http://127.0.0.1:${server.port}/readyz`)).status
  try {
    expect(await ready()).toBe(200)
    const folder = join(`/proc/${server.pid}/root`, server.data, 'data')
    const files: string[] = []
    const fill = (): void => {
      for (;;) {
        const path = join(folder, `filler_${files.length}`)
        writeFileSync(path, '')
        files.push(path)
      }
    }
    expect(fill).toThrow('ENOSPC')
    expect(files.length).toBeGreaterThan(0)
    await expect.poll(ready, WAIT).toBe(503)
    for (const path of files) rmSync(path)
    await expect.poll(ready, WAIT).toBe(200)
  } finally {
    await server.dispose()
  }
})
