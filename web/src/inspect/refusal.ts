// Refusal: what the server said no to, in its own words; and how its problem documents are read.

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: string
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined

  constructor(code: string, message: string, retryable: boolean, retryAfterMs?: number) {
    super(message)
    this.code = code
    this.retryable = retryable
    this.retryAfterMs = retryAfterMs
  }
}

/** Of an answer that is no success. An answer of somebody on the way counts as one that may pass. */
export async function readProblem(answer: Response): Promise<Refusal> {
  const seconds = Number(answer.headers.get('retry-after') ?? Number.NaN)
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : undefined
  const body = (await answer.json().catch(() => undefined)) as
    | { readonly code?: unknown; readonly detail?: unknown; readonly title?: unknown; readonly retryable?: unknown }
    | undefined
  const { code, detail, title, retryable } = body ?? {}
  const words = [detail, title].find((text) => typeof text === 'string') as string | undefined
  if (typeof code !== 'string')
    return new Refusal('unavailable', `The server answered ${answer.status}.`, true, retryAfterMs)
  return new Refusal(code, words ?? code, retryable === true, retryAfterMs)
}
