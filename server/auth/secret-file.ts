// Reads secrets from a file, one per line, so that they can be rotated while the server runs: add the new secret, sign
// tokens with it, then remove the old one. The file is checked when a token arrives, at most once a second. If it becomes
// unusable, the previous secrets stay valid.
import { readFile, stat } from 'node:fs/promises'
import type { Logger } from 'pino'

/** Resolves to the current secrets, at least one. Rejects if none were ever read. */
export type Secrets = () => Promise<readonly Uint8Array[]>

export interface SecretFileOptions {
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
  /** What the file contained at the start. */
  readonly known?: readonly Uint8Array[]
  readonly logger?: Logger | undefined
}

/** Milliseconds between two checks of the file. */
const CHECK_MS = 1_000
/** RFC 7518, section 3.2: a key for HS256 has at least the size of the hash. A shorter one can be guessed from one token. */
const SECRET_MIN_BYTES = 32
export const SECRET_RULE = `must be text of at least ${SECRET_MIN_BYTES} bytes. To create one, run: openssl rand -hex 32`
/** What decoders write instead of bytes that are not UTF-8: everybody knows it, so it protects nothing. */
const REPLACEMENT = '\ufffd'

export function isSecret(text: string): boolean {
  return Buffer.byteLength(text) >= SECRET_MIN_BYTES && !text.includes(REPLACEMENT)
}

export async function readSecrets(path: string): Promise<readonly Uint8Array[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.trim())
  if (lines.every((line) => line === '')) throw new Error('the file contains no secret')
  const wrong = lines.findIndex((line) => line !== '' && (line.startsWith('#') || !isSecret(line)))
  if (lines[wrong]?.startsWith('#')) throw new Error(`line ${wrong + 1} is a comment, which the file cannot have`)
  if (wrong !== -1) throw new Error(`the secret in line ${wrong + 1} ${SECRET_RULE}`)
  const encoder = new TextEncoder()
  return lines.filter((line) => line !== '').map((line) => encoder.encode(line))
}

export function secretsIn(path: string, options: SecretFileOptions = {}): Secrets {
  const { now = () => performance.now(), known, logger } = options
  let checkedAt = Number.NEGATIVE_INFINITY
  let version = ''
  let secrets = known
  let hasFailed = false
  let checking: Promise<readonly Uint8Array[]> | undefined

  async function check(): Promise<readonly Uint8Array[]> {
    try {
      const file = await stat(path)
      // A pipe, which may serve the start, would never end when it is read again.
      if (secrets !== undefined && !file.isFile()) throw new Error('it is no longer a file')
      const found = `${file.mtimeMs} ${file.size} ${file.ino}`
      if (secrets === undefined || found !== version) secrets = await readSecrets(path)
      version = found
      if (hasFailed) logger?.info({ file: path }, 'reading the secret file works again')
      hasFailed = false
    } catch (error) {
      const result = secrets === undefined ? 'access tokens cannot be verified' : 'using its previous secrets'
      if (!hasFailed) logger?.error({ err: error, file: path }, `failed to read the secret file; ${result}`)
      hasFailed = true
      if (secrets === undefined) throw error
    }
    checkedAt = now()
    return secrets
  }

  return async () => {
    if (secrets !== undefined && now() - checkedAt < CHECK_MS) return secrets
    checking ??= check().finally(() => {
      checking = undefined
    })
    return checking
  }
}
