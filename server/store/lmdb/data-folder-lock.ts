// DataFolderLock: ensures that only one process uses a data folder. The process listens on a socket, and stores the
// socket's name in the environment by a compare-and-set. If nobody accepts connections on the stored socket, for
// example after kill -9, the lock is free; so a lock is never stale.
import { randomBytes } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
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

export interface DataFolderLock {
  /** The socket's file, without which others take the lock for free. Undefined for a pipe of Windows, or if the system has cut off a path that is too long. */
  readonly file: string | undefined
  release(): Promise<void>
}

/** @throws DataFolderInUse */
export async function lockDataFolder(
  path: string,
  environment: LmdbEnvironment,
  meta: Table<string, string | number>,
): Promise<DataFolderLock> {
  const before = meta.get('owner')
  if (typeof before === 'string' && (await isListening(locate(path, before)))) throw new DataFolderInUse(path)
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
  const file = locate(path, name)
  const isFile = process.platform !== 'win32' && existsSync(file)
  return { file: isFile ? file : undefined, release: () => closeServer(server) }
}

function locate(path: string, name: string): string {
  return isAbsolute(name) ? name : join(path, name)
}

function isListening(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Refused or missing: nobody listens. Any other error, such as a full backlog or no permission: a process may
    // listen.
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })
}

// The socket is in the data folder, so that other containers with the same volume see it. If that fails (the path is
// too long for a socket, or the file system has no sockets), it is in the folder for temporary files, and protects only
// against processes of this machine.
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
