// The session in the page's address: `/?session=<id>`, or `/s/<id>`, for which the server also serves the page. Pure.

const ID = /^[A-Za-z0-9_-]{1,128}$/
const PATH = /^\/s\/([^/]+)\/?$/

/** @returns the session's id; undefined if it is missing or invalid */
export function sessionOf(address: URL): string | undefined {
  const id = PATH.exec(address.pathname)?.[1] ?? address.searchParams.get('session') ?? ''
  return ID.test(id) ? id : undefined
}

/** The link to a session. */
export function addressOf(session: string, base: URL): URL {
  const address = new URL('/', base)
  address.searchParams.set('session', session)
  return address
}
