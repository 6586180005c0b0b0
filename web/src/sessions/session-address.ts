// The page's address names the session: `/?session=<id>`, or `/s/<id>`, which the server answers with the page too. Pure.

const ID = /^[A-Za-z0-9_-]{1,128}$/
const PATH = /^\/s\/([^/]+)\/?$/

/** @returns the session that an address names; undefined when it names none, or nothing that may be an id */
export function sessionOf(address: URL): string | undefined {
  const id = PATH.exec(address.pathname)?.[1] ?? address.searchParams.get('session') ?? ''
  return ID.test(id) ? id : undefined
}

/** The address of a session, to be shared. */
export function addressOf(session: string, base: URL): URL {
  const address = new URL('/', base)
  address.searchParams.set('session', session)
  return address
}
