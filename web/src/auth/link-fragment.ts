// What a link may bring behind its `#`, which browsers send to no server: an invitation to the session that it names, or
// a token. Both are taken out of the address at once. Pure.

export interface Fragment {
  readonly token?: string
  readonly invite?: string
}

/** @returns undefined when there is nothing of the kind in it */
export function fragmentOf(address: URL): Fragment | undefined {
  const given = new URLSearchParams(address.hash.slice(1))
  const [token, invite] = [given.get('token') ?? '', given.get('invite') ?? '']
  if (token === '' && invite === '') return undefined
  return { ...(token === '' ? {} : { token }), ...(invite === '' ? {} : { invite }) }
}

export function withoutFragment(address: URL): URL {
  const bare = new URL(address)
  bare.hash = ''
  return bare
}

/** The link that lets somebody in. @param address of the session */
export function inviteLink(address: string, token: string): string {
  const link = new URL(address)
  link.hash = new URLSearchParams({ invite: token }).toString()
  return link.href
}
