// Secrets in a file, one a line, so that they can be changed while the server runs: first the new one is added, then
// tokens are signed with it, then the old one is taken out. The file is looked at when a token comes, at most once a second.
import { readFile, stat } from 'node:fs/promises'

/** The secrets of now, never none. Rejects when there are none to be had. */
export type Secrets = () => Promise<readonly Uint8Array[]>

/** Milliseconds between two looks at the file. */
const LOOK_MS = 1_000

/** @param now milliseconds of a clock that does not go back */
export function secretsIn(path: string, now: () => number = () => performance.now()): Secrets {
  let lookedAt = Number.NEGATIVE_INFINITY
  let version = ''
  let secrets: readonly Uint8Array[] = []
  let looking: Promise<void> | undefined

  async function look(): Promise<void> {
    const { mtimeMs, size, ino } = await stat(path)
    const found = `${mtimeMs} ${size} ${ino}`
    if (found !== version) {
      const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.trim())
      const encoder = new TextEncoder()
      secrets = lines.filter((line) => line !== '').map((line) => encoder.encode(line))
      version = found
    }
    if (secrets.length === 0) throw new Error('the file of secrets is empty')
    lookedAt = now()
  }

  return async () => {
    if (now() - lookedAt >= LOOK_MS) {
      looking ??= look().finally(() => {
        looking = undefined
      })
      await looking
    }
    return secrets
  }
}
