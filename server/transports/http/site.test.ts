// The web page and the health checks over plain HTTP: paths, headers and caching.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadUws, type us_listen_socket } from '../uws.ts'
import { serveHealth } from './health.ts'
import { serveSite } from './site.ts'

let folder: string
let url: string
let port: number
let ready = true
let asked: (() => Promise<void>) | undefined
let close: () => void

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-site-'))
  const site = join(folder, 'dist')
  mkdirSync(join(site, 'assets'), { recursive: true })
  writeFileSync(join(folder, 'secret.txt'), 'secret')
  writeFileSync(join(site, 'index.html'), '<!doctype html><title>The page</title>')
  writeFileSync(join(site, 'inspect.html'), '<!doctype html><title>The inspector</title>')
  writeFileSync(join(site, 'assets', 'app-1234.js'), 'let x = 1')
  writeFileSync(join(site, 'assets', 'big-1234.js'), 'let big = 1')
  writeFileSync(join(site, 'assets', 'big-1234.js.br'), brotliCompressSync('let big = 1'))
  writeFileSync(join(site, 'assets', 'big-1234.js.gz'), gzipSync('let big = 1'))
  const { uws } = loadUws()
  const app = uws.App()
  expect(serveSite(app, site)).toBe(4)
  serveHealth(app, async () => {
    await asked?.()
    return ready ? 'ready' : 'stopping'
  })
  const socket = await new Promise<us_listen_socket>((resolve, reject) => {
    app.listen('127.0.0.1', 0, (token) => (token === false ? reject(new Error('no port')) : resolve(token)))
  })
  port = uws.us_socket_local_port(socket)
  url = `http://127.0.0.1:${port}`
  close = () => app.close()
})

afterAll(() => {
  close()
  rmSync(folder, { recursive: true, force: true })
})

test('serves the page at / and at a session’s path, with a strict content security policy', async () => {
  for (const path of ['/', '/s/some-session', '/index.html']) {
    const response = await fetch(url + path)
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('The page')
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('cache-control')).toBe('no-cache')
    expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self';/)
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  }
})

test('serves the inspector as a separate page with the same policy', async () => {
  const response = await fetch(`${url}/inspect?session=s1`)
  expect(await response.text()).toContain('The inspector')
  expect(response.headers.get('cache-control')).toBe('no-cache')
  expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self';/)
})

test('sends the compressed version to clients that accept it', async () => {
  const get = async (accepted: string) => {
    const response = await fetch(`${url}/assets/big-1234.js`, { headers: { 'Accept-Encoding': accepted } })
    expect(await response.text()).toBe('let big = 1')
    expect(response.headers.get('vary')).toBe('Accept-Encoding')
    return { encoding: response.headers.get('content-encoding'), etag: response.headers.get('etag') }
  }
  const brotli = await get('gzip, deflate, br')
  const gzip = await get('gzip, br;q=0')
  const plain = await get('identity')
  expect([brotli.encoding, gzip.encoding, plain.encoding]).toEqual(['br', 'gzip', null])
  expect(new Set([brotli.etag, gzip.etag, plain.etag]).size).toBe(3)
  const again = { 'Accept-Encoding': 'br', 'If-None-Match': brotli.etag ?? '' }
  expect((await fetch(`${url}/assets/big-1234.js`, { headers: again })).status).toBe(304)
  expect((await fetch(`${url}/assets/big-1234.js.br`)).status).toBe(404)
})

test('lets clients cache files with a hash in their name forever, and answers 304 to a matching ETag', async () => {
  const response = await fetch(`${url}/assets/app-1234.js`)
  expect(await response.text()).toBe('let x = 1')
  expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
  expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  const etag = response.headers.get('etag') ?? ''
  const again = await fetch(`${url}/assets/app-1234.js`, { headers: { 'If-None-Match': etag } })
  expect(again.status).toBe(304)
  expect(await again.text()).toBe('')
})

test('answers HEAD with the length and no body', async () => {
  const response = await fetch(`${url}/assets/app-1234.js`, { method: 'HEAD' })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-length')).toBe('9')
})

test('serves no file outside the folder', async () => {
  const paths = [
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '//secret.txt',
    '/assets/%2e%2e%2f%2e%2e%2fsecret.txt',
    '/assets',
    '/secret.txt\0',
  ]
  for (const path of paths) {
    // fetch would normalize the path before it sends it.
    const status = await new Promise((resolve, reject) => {
      const asking = request({ port, host: '127.0.0.1', path: encodeURI(path).replaceAll('%25', '%') }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      asking.on('error', reject)
      asking.end()
    })
    expect(status, path).toBe(404)
  }
})

test('answers an unknown path with a problem and its code', async () => {
  for (const [path, method] of [
    ['/nowhere', 'GET'],
    ['/', 'POST'],
    ['/v1/ws', 'POST'],
  ] as const) {
    const response = await fetch(url + path, { method })
    expect(response.status).toBe(404)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toEqual({
      type: 'about:blank',
      title: 'Not found.',
      status: 404,
      code: 'not_found',
      retryable: false,
      requestId: response.headers.get('x-request-id'),
    })
  }
})

test('answers a browser that opens an unknown path with a page that links to the start', async () => {
  const headers = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
  const response = await fetch(`${url}/nowhere`, { headers })
  expect(response.status).toBe(404)
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  expect(await response.text()).toContain('<a href="/">')
  expect((await fetch(`${url}/nowhere`, { headers, method: 'HEAD' })).status).toBe(404)
})

test('reports liveness and readiness separately', async () => {
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' })
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  ready = false
  const response = await fetch(`${url}/readyz`)
  expect(response.status).toBe(503)
  // Another node may be free: clients need not wait.
  expect(response.headers.get('retry-after')).toMatch(/^[01]$/)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
})

test('answers health checks by GET and HEAD, and refuses other methods', async () => {
  for (const path of ['/healthz', '/readyz']) {
    const head = await fetch(`${url}${path}`, { method: 'HEAD' })
    const get = await fetch(`${url}${path}`)
    expect([head.status, head.headers.get('content-length')]).toEqual([get.status, get.headers.get('content-length')])
    for (const method of ['POST', 'DELETE']) {
      const refused = await fetch(`${url}${path}`, { method })
      expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
      expect(await refused.json()).toMatchObject({ code: 'method_not_allowed' })
    }
  }
})

test('answers no health check whose client has disconnected meanwhile', async () => {
  ready = true
  const client = new AbortController()
  let answer = (): void => undefined
  const isAsked = new Promise<void>((resolve) => {
    asked = () => {
      resolve()
      return new Promise((end) => {
        answer = end
      })
    }
  })
  const response = fetch(`${url}/readyz`, { signal: client.signal })
  await isAsked
  asked = undefined
  client.abort()
  await expect(response).rejects.toThrow()
  // By the time of this answer the server has seen the end of the other connection.
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  answer()
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
})
