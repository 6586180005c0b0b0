// Reads secrets from a file, one per line, so that they can be rotated while the server runs: add the new secret, sign
// tokens with it, then remove the old one. The file is checked when a token arrives, at most once a second.
import { readFile, stat } from 'node:fs/promises'

/** Resolves to the current secrets, at least one. Rejects if there are none. */
export type Secrets = () => Promise<readonly Uint8Array[]>

/** Milliseconds between two checks of the file. */
const CHECK_MS = 1_000

/** @param now milliseconds of a monotonic clock */
export function secretsIn(path: string, now: () => number = () => performance.now()): Secrets {
  let checkedAt = Number.NEGATIVE_INFINITY
  let version = ''
  let secrets: readonly Uint8Array[] = []
  let checking: Promise<void> | undefined

  async function check(): Promise<void> {
    const { mtimeMs, size, ino } = await stat(path)
    const found = `${mtimeMs} ${size} ${ino}`
    if (found !== version) {
      const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.trim())
      const encoder = new TextEncoder()
      secrets = lines.filter((line) => line !== '').map((line) => encoder.encode(line))
      version = found
    }
    if (secrets.length === 0) throw new Error('the file contains no secret')
    checkedAt = now()
  }

  return async () => {
    if (now() - checkedAt >= CHECK_MS) {
      checking ??= check().finally(() => {
        checking = undefined
      })
      await checking
    }
    return secrets
  }
}
