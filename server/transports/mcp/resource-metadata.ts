// Protected Resource Metadata (RFC 9728): tells MCP clients which authorization server gives out access tokens for the endpoint. Its
// tokens must name the endpoint as their audience (RFC 8707), so that a token for another service is worth nothing here.
import type { ErrorShape } from '../http/failure.ts'
import { HttpError } from '../http/http-error.ts'
import type { Route } from '../http/route.ts'
import { asRpcFailure } from './rpc.ts'

export interface ProtectedResource {
  /** The public URL of the endpoint. */
  readonly url: string
  readonly issuer: string
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource'

/** The path of the metadata (RFC 9728, section 3.1): the path of the endpoint follows the well-known one. */
function metadataPath({ url }: ProtectedResource): string {
  const { pathname } = new URL(url)
  return pathname === '/' ? WELL_KNOWN : WELL_KNOWN + pathname
}

/** The errors of the endpoint: 401 says where the metadata is. */
export function errorsFor(resource: ProtectedResource | undefined): ErrorShape {
  if (resource === undefined) return asRpcFailure
  const metadata = new URL(resource.url).origin + metadataPath(resource)
  return (failure, requestId) => ({
    ...asRpcFailure(failure, requestId),
    ...(failure.status === 401 ? { headers: { 'WWW-Authenticate': `Bearer resource_metadata="${metadata}"` } } : {}),
  })
}

/** @param resource undefined: 404, so that a client looks for no authorization server */
export function metadataRoutes(resource: ProtectedResource | undefined): readonly Route[] {
  const fixed = [`${WELL_KNOWN}/mcp`, WELL_KNOWN]
  const paths = new Set([...fixed, ...(resource === undefined ? [] : [metadataPath(resource)])])
  return [...paths].map((path) => ({
    method: 'GET',
    path,
    ...(fixed.includes(path) ? {} : { isAlias: true as const }),
    open: true,
    handle(exchange) {
      if (resource === undefined) throw new HttpError('not_found')
      exchange.reply(200, {
        resource: resource.url,
        authorization_servers: [resource.issuer],
        bearer_methods_supported: ['header'],
        resource_name: 'Parley',
      })
    },
  }))
}
