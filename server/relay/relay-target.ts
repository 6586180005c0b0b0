// Which URLs a relay may request: those of the configured providers. Otherwise, everybody with its secret could reach any host
// that the relay can reach.

/** Decides whether a URL may be requested. */
export type RelayTargets = (url: URL) => boolean

/** @param bases URLs of providers. A target has the same origin, and the path of the base or one below it. */
export function relayTargets(bases: readonly string[]): RelayTargets {
  const allowed = bases.map((base) => {
    const { origin, pathname } = new URL(base)
    return { origin, path: pathname.endsWith('/') ? pathname : `${pathname}/` }
  })
  return (url) => {
    if (url.username !== '' || url.password !== '') return false
    // A server may decode the path once more than the URL parser does.
    if (/%(2f|5c|2e)/i.test(url.pathname)) return false
    return allowed.some(({ origin, path }) => url.origin === origin && `${url.pathname}/`.startsWith(path))
  }
}
