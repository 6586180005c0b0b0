// Impairments of a network, and their command-line syntax: `5%/10s`, `1%/10s:3s`, `64k`.

/** A share of the open connections, in each period. */
export interface Rate {
  readonly share: number
  readonly everyMs: number
}

export interface Impairments {
  readonly cut?: Rate
  /** Blocks a connection for a while; its data follows afterwards. */
  readonly stall?: Rate & { readonly forMs: number }
  /** Blocks a connection forever, without closing it. */
  readonly blackhole?: Rate
  /** Added each way; jitter is uniform from 0 to `jitterMs`, and does not reorder. */
  readonly latencyMs: number
  readonly jitterMs: number
  /** Bytes per second, for each connection and direction. */
  readonly bandwidth?: number
}

export const NO_IMPAIRMENTS: Impairments = { latencyMs: 0, jitterMs: 0 }

/** @throws RangeError with the accepted form */
export function parseRate(text: string): Rate {
  const [, share = '', every = ''] = /^(\d+(?:\.\d+)?)%\/(\w+(?:\.\d+)?\w*)$/.exec(text) ?? []
  if (share === '' || Number(share) > 100) throw new RangeError(`${text} is not a rate: write 5%/10s`)
  return { share: Number(share) / 100, everyMs: parseMs(every) }
}

export function parseStall(text: string): Rate & { readonly forMs: number } {
  const [rate = '', length = '3s'] = text.split(':')
  return { ...parseRate(rate), forMs: parseMs(length) }
}

/** Parses `250ms`, `10s` or `2m`; a plain number is milliseconds. */
export function parseMs(text: string): number {
  const [, number = '', unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? []
  if (number === '') throw new RangeError(`${text} is not a duration: write 250ms, 10s or 2m`)
  return Number(number) * { ms: 1, s: 1_000, m: 60_000 }[unit as 'ms' | 's' | 'm']
}

/** Parses bytes: `64k`, `2M`. */
export function parseBytes(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([kM]?)$/.exec(text) ?? []
  if (number === '' || Number(number) === 0) throw new RangeError(`${text} is not a size: write 64k or 2M`)
  return Number(number) * { '': 1, k: 1_000, M: 1_000_000 }[unit as '' | 'k' | 'M']
}

export function isImpaired(impairments: Impairments): boolean {
  const { cut, stall, blackhole, latencyMs, jitterMs, bandwidth } = impairments
  return [cut, stall, blackhole, bandwidth].some((one) => one !== undefined) || latencyMs > 0 || jitterMs > 0
}
