// The Prefer header (RFC 7240): whether and how long a client wants to wait for an answer. Pure.

export interface Preferences {
  readonly respondAsync: boolean
  /** Seconds. */
  readonly wait: number | undefined
}

const WAIT = /^wait *= *"?(\d{1,9})"?$/

/** Ignores unknown preferences, as the RFC requires. If a preference is repeated, the first one counts. */
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
