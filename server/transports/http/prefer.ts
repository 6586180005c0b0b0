// Prefer: what a client would like of an answer (RFC 7240): to wait for it, or not to. Pure.

export interface Preferences {
  readonly respondAsync: boolean
  /** Seconds. */
  readonly wait: number | undefined
}

const WAIT = /^wait *= *"?(\d{1,9})"?$/

/** What is not understood is passed over, as the RFC wants it; of two of a kind the first counts. */
export function parsePrefer(header: string | undefined): Preferences {
  const preferences = (header ?? '')
    .split(',')
    .map((preference) => preference.split(';')[0]?.trim().toLowerCase() ?? '')
  const wait = preferences.map((preference) => WAIT.exec(preference)?.[1]).find((seconds) => seconds !== undefined)
  return {
    respondAsync: preferences.includes('respond-async'),
    wait: wait === undefined ? undefined : Number(wait),
  }
}
