// The fragment of a link, which browsers never send to a server. It may carry an invitation to the link's session, or
// an access token. The page removes both from the address at once. Pure.

export interface Fragment {
  readonly token?: string
  readonly invite?: string
}

/** @returns undefined if the fragment carries neither */
export function fragmentOf(address: URL): Fragment | undefined {
  const params = new URLSearchParams(address.hash.slice(1))
  const [token, invite] = [params.get('token') ?? '', params.get('invite') ?? '']
  if (token === '' && invite === '') return undefined
  return { ...(token === '' ? {} : { token }), ...(invite === '' ? {} : { invite }) }
}

export function withoutFragment(address: URL): URL {
  const bare = new URL(address)
  bare.hash = ''
  return bare
}

/** The link that accepts an invitation. @param address of the session */
export function inviteLink(address: string, token: string): string {
  const link = new URL(address)
  link.hash = new URLSearchParams({ invite: token }).toString()
  return link.href
}
