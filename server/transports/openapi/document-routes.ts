// GET /openapi.json and /asyncapi.json. Each document is made at its first request and then cached.
import { createHash } from 'node:crypto'
import type { Route } from '../http/route.ts'
import { asyncApiDocument } from './asyncapi-document.ts'
import type { JsonObject } from './named-schemas.ts'
import { type DocumentedRoute, openApiDocument } from './openapi-document.ts'

/** @param routes all other routes */
export function documentRoutes(routes: readonly DocumentedRoute[]): readonly Route[] {
  const own: Route[] = [
    documentRoute('/openapi.json', () => openApiDocument([...routes, ...own])),
    documentRoute('/asyncapi.json', asyncApiDocument),
  ]
  return own
}

function documentRoute(path: string, make: () => JsonObject): Route {
  let made: { readonly body: Uint8Array; readonly etag: string } | undefined
  return {
    method: 'GET',
    path,
    open: true,
    handle(exchange) {
      made ??= tagged(JSON.stringify(make()))
      const headers = { 'Content-Type': 'application/json', ETag: made.etag, 'Cache-Control': 'no-cache' }
      if (exchange.request.header('if-none-match') === made.etag) exchange.reply(304, undefined, headers)
      else exchange.replyWith(200, made.body, headers)
    },
  }
}

function tagged(text: string): { readonly body: Uint8Array; readonly etag: string } {
  const body = Buffer.from(text)
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 16)}"` }
}
