// uWebSockets.js: picks the build that this system can load, and sets the limit that is read while it is loaded. The
// only place that imports it. docs/adr/0042 has the reasons.

import { createRequire } from 'node:module'
import process from 'node:process'
import type * as Uws from '@btc-vision/uwebsockets.js'

export type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  WebSocket,
} from '@btc-vision/uwebsockets.js'

/** Maximum size in bytes of a request head. A larger one gets 431 with a problem document. */
export const HEAD_BYTES = 16 * 1024
/** The limit of uWS itself, in bytes: it answers 431 in its own words, and closes the connection. */
const UWS_HEAD_BYTES = 2 * HEAD_BYTES

export interface LoadedUws {
  readonly uws: typeof Uws
  /**
   * True for the build for an older glibc. It answers 505 if a request line arrives in two packets
   * (uNetworking/uWebSockets#1776).
   */
  readonly fallback: boolean
}

export class UnsupportedSystemError extends Error {
  override readonly name = 'UnsupportedSystemError'
}

const require = createRequire(import.meta.url)
const BUILDS: readonly (() => unknown)[] = [() => require('@btc-vision/uwebsockets.js'), () => require('uwebsockets')]

/** @param builds in the order of preference @throws UnsupportedSystemError */
export function loadUws(builds = BUILDS): LoadedUws {
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(UWS_HEAD_BYTES)
  const causes: unknown[] = []
  for (const [index, load] of builds.entries()) {
    try {
      return { uws: load() as typeof Uws, fallback: index > 0 }
    } catch (error) {
      causes.push(error)
    }
  }
  throw new UnsupportedSystemError(
    `uWebSockets.js cannot be loaded by Node.js ${process.versions.node} on ${process.platform} ${process.arch}${libc()}: ` +
      `${causeOf(causes[0])}. Use Node.js 20, 22, 24 or 25 on Linux with glibc 2.38 or newer (Debian 13, Ubuntu 24.04), macOS or Windows; ` +
      'or Node.js 20 on Linux with glibc 2.27 or newer.',
    { cause: new AggregateError(causes) },
  )
}

/** The first line of an error, without the package's own paragraph before Node.js's. */
function causeOf(cause: unknown): string {
  const [line = ''] = (cause instanceof Error ? cause.message : String(cause)).split('\n\n').at(-1)?.split('\n') ?? []
  return line.replace(/^Error: |\.$/g, '')
}

/** Names the C library of a Linux system: builds need glibc, and not too old a version. */
function libc(): string {
  if (process.platform !== 'linux') return ''
  const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime === undefined ? ' without glibc' : ` with glibc ${header.glibcVersionRuntime}`
}
