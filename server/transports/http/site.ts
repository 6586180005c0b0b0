// Serves the built web page. All files are read once at start-up, and a request can only name one of them, so path
// traversal is impossible. Files with a hash in their name are cached forever, the page itself is always revalidated.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import type { HttpRequest, HttpResponse, TemplatedApp } from '../uws.ts'
import { reply } from './http-reply.ts'
import type { Headers } from './response-head.ts'

interface SiteFile {
  readonly body: Buffer
  readonly etag: string
  readonly headers: Headers
  /** Versions that the build compressed, the best first. */
  readonly packed: readonly SitePack[]
}

interface SitePack extends Pick<SiteFile, 'body' | 'etag' | 'headers'> {
  readonly encoding: string
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
}
/** File name endings of the compressed versions. */
const ENCODINGS: readonly (readonly [ending: string, encoding: string])[] = [
  ['.br', 'br'],
  ['.gz', 'gzip'],
]
const PAGE = '/index.html'
const INSPECTOR = '/inspect.html'
/** Folder of the files whose names contain their hash. */
const HASHED = '/assets/'

/**
 * 'self' includes the WebSocket (CSP level 3, and browsers since 2022). In older browsers the page falls back to its
 * other transports, as it does behind a proxy that blocks WebSockets.
 */
const SECURITY: Headers = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; font-src 'self'; " +
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
}

const NOT_BUILT =
  '<!doctype html><title>Parley</title><p>The page is not built yet. Run <code>npm run build</code>.</p>'

const NOT_FOUND =
  '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">' +
  '<title>Page not found · Parley</title><h1>Page not found</h1><p>This address does not exist. <a href="/">Open Parley</a></p></html>'

/** For a person who opens an unknown address in a browser. */
export function replyNotFoundPage(response: HttpResponse, bodiless: boolean): void {
  const headers = { 'Content-Type': CONTENT_TYPES['.html'] ?? '', 'Cache-Control': 'no-store', ...SECURITY }
  reply(response, 404, headers, NOT_FOUND, bodiless)
}

/** Serves the files of a folder, or a notice if there are none. @returns the number of files */
export function serveSite(app: TemplatedApp, folder: string): number {
  const files = readSite(folder)
  const page = files.get(PAGE) ?? toFile(PAGE, Buffer.from(NOT_BUILT))
  serve(app, '/', page)
  // The page itself reads the session from its path.
  serve(app, '/s/:session', page)
  serve(app, '/inspect', files.get(INSPECTOR) ?? page)
  for (const [path, file] of files) serve(app, path, file)
  return files.size
}

function serve(app: TemplatedApp, path: string, file: SiteFile): void {
  const answer = (bodiless: boolean) => (response: HttpResponse, request: HttpRequest) => {
    const { body, etag, headers } = selectEncoding(file, request.getHeader('accept-encoding'))
    const all = { ETag: etag, ...headers }
    if (request.getHeader('if-none-match') === etag) reply(response, 304, all)
    else reply(response, 200, all, body, bodiless)
  }
  app.get(path, answer(false))
  app.head(path, answer(true))
}

/** @param accepted the Accept-Encoding header; a coding with q=0 is not used */
function selectEncoding(file: SiteFile, accepted: string): Pick<SiteFile, 'body' | 'etag' | 'headers'> {
  if (file.packed.length === 0 || accepted === '') return file
  const codings = accepted
    .toLowerCase()
    .split(',')
    .filter((coding) => !/;\s*q=0(?:\.0*)?\s*$/.test(coding))
  const names = new Set(codings.map((coding) => coding.split(';')[0]?.trim()))
  return file.packed.find(({ encoding }) => names.has(encoding)) ?? file
}

function readSite(folder: string): Map<string, SiteFile> {
  const files = new Map<string, SiteFile>()
  if (!existsSync(folder)) return files
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const full = join(entry.parentPath, entry.name)
    if (ENCODINGS.some(([ending]) => full.endsWith(ending))) continue
    const path = `/${full.slice(folder.length).replaceAll('\\', '/').replace(/^\/+/, '')}`
    files.set(path, toFile(path, readFileSync(full), readPacked(full)))
  }
  return files
}

function readPacked(path: string): readonly (readonly [encoding: string, body: Buffer])[] {
  return ENCODINGS.filter(([ending]) => existsSync(path + ending)).map(([ending, encoding]) => [
    encoding,
    readFileSync(path + ending),
  ])
}

function toFile(
  path: string,
  body: Buffer,
  packed: readonly (readonly [encoding: string, body: Buffer])[] = [],
): SiteFile {
  const cache = path.startsWith(HASHED) ? 'public, max-age=31536000, immutable' : 'no-cache'
  const headers = {
    'Content-Type': CONTENT_TYPES[extname(path)] ?? 'application/octet-stream',
    'Cache-Control': cache,
    ...(packed.length === 0 ? {} : { Vary: 'Accept-Encoding' }),
    ...(path.endsWith('.html') ? SECURITY : {}),
  }
  return {
    body,
    etag: etagOf(body),
    headers,
    packed: packed.map(([encoding, bytes]) => ({
      encoding,
      body: bytes,
      etag: etagOf(bytes),
      headers: { ...headers, 'Content-Encoding': encoding },
    })),
  }
}

function etagOf(body: Buffer): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
}
