// DataFolderOwner: only one process uses a data folder. The owner listens on a socket whose name is written into the
// environment by a compare-and-set; a socket that nobody answers on (kill -9) is no owner, so nothing goes stale.
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import type { LmdbEnvironment, Table } from './environment.ts'

/** Another process uses the data folder. */
export class DataFolderInUse extends Error {
  override readonly name = 'DataFolderInUse'

  constructor(path: string) {
    super(`the data folder ${path} is in use by another Parley server`)
  }
}

export interface Ownership {
  release(): Promise<void>
}

/** @throws DataFolderInUse */
export async function ownDataFolder(
  path: string,
  environment: LmdbEnvironment,
  meta: Table<string, string | number>,
): Promise<Ownership> {
  const before = meta.get('owner')
  if (typeof before === 'string' && (await answers(locate(path, before)))) throw new DataFolderInUse(path)
  const { server, name } = await listen(path)
  const won = environment.exclusively(() => {
    if (meta.get('owner') !== before) return false
    meta.put('owner', name)
    return true
  })
  if (!won) {
    await closeServer(server)
    throw new DataFolderInUse(path)
  }
  if (typeof before === 'string' && process.platform !== 'win32') rmSync(locate(path, before), { force: true })
  return { release: () => closeServer(server) }
}

function locate(path: string, name: string): string {
  return isAbsolute(name) ? name : join(path, name)
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Refused or gone: nobody. Anything else (a full backlog, no permission): somebody is there.
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })
}

// In the folder itself, so that other containers with the same volume see it. Where that cannot be (a name too long for
// a socket, a file system without them), in the folder for temporary files: seen by this machine.
async function listen(path: string): Promise<{ server: Server; name: string }> {
  const name = `owner-${randomBytes(6).toString('hex')}.sock`
  if (process.platform === 'win32') {
    const pipe = `\\\\.\\pipe\\parley-${name}`
    return { server: await listenOn(pipe), name: pipe }
  }
  try {
    return { server: await listenOn(join(path, name)), name }
  } catch {
    const address = join(tmpdir(), `parley-${name}`)
    return { server: await listenOn(address), name: address }
  }
}

function listenOn(address: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject)
    server.listen(address, () => {
      server.unref()
      resolve(server)
    })
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}
