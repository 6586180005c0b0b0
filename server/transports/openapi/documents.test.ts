// The documents that a server serves: public validators accept them, and they contain every route and frame, and no
// others.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import asyncapi from '@asyncapi/specs'
import { CLIENT_FRAME_TYPES, SERVER_FRAME_TYPES } from '@parley/protocol'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../config/config.ts'
import { createServer, type Server } from '../../create-server.ts'
import { OPERATIONS, UNDESCRIBED } from './openapi-document.ts'

interface OpenApi {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

interface AsyncApi {
  readonly asyncapi: string
  readonly components: {
    readonly messages: Readonly<Record<string, { readonly name: string }>>
    readonly schemas: object
  }
}

let folder: string
let server: Server

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-documents-'))
  const config = await loadConfig({ PARLEY_DATA: folder, PARLEY_PORT: '0' }, folder)
  server = await createServer(config, pino({ level: 'silent' }))
})
afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function served<T>(path: string): Promise<T> {
  const response = await fetch(`${server.url}${path}`)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('application/json')
  return (await response.json()) as T
}

describe('GET /openapi.json', () => {
  it('is OpenAPI 3.1, by a public validator', async () => {
    const document = await served<OpenApi>('/openapi.json')
    const validator = new Validator()
    const { valid, errors } = await validator.validate(structuredClone(document) as never)
    expect(errors).toBeUndefined()
    expect(valid).toBe(true)
    expect(validator.version).toBe('3.1')
    // Every reference can be resolved.
    expect(JSON.stringify(validator.resolveRefs())).not.toContain('"$ref"')
  })

  it('describes exactly the routes that are served', async () => {
    const { paths } = await served<OpenApi>('/openapi.json')
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
    )
    expect(operations.filter(({ operation }) => UNDESCRIBED in operation).map(({ name }) => name)).toEqual([])
    const names = new Set(operations.map(({ name }) => name))
    const tables = Object.keys(OPERATIONS).map((name) => name.replace(/:(\w+)/g, '{$1}'))
    expect(tables.filter((name) => !names.has(name))).toEqual([])
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('says that a session may be deleted, at every route of one', async () => {
    const { paths } = await served<OpenApi>('/openapi.json')
    const silent = Object.entries(paths).flatMap(([path, methods]) =>
      /\{session\}|^\/jobs\/|^\/v1\/responses\//.test(path)
        ? Object.entries(methods).flatMap(([method, { responses }]) =>
            '410' in (responses as object) ? [] : [`${method} ${path}`],
          )
        : [],
    )
    expect(silent).toEqual([])
  })

  it('names every parameter of a path', async () => {
    const { paths } = await served<OpenApi>('/openapi.json')
    for (const [path, methods] of Object.entries(paths)) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      for (const { parameters = [] } of Object.values(methods)) {
        const inPath = (parameters as { in: string; name: string }[]).filter((parameter) => parameter.in === 'path')
        expect(inPath.map(({ name }) => name)).toEqual(names)
      }
    }
  })

  // Form builders and SDKs of other languages send `?since=` for a variable that is not set; it was refused with 400.
  it('describes query parameters that the server takes for absent if their value is empty', async () => {
    const { paths } = await served<OpenApi>('/openapi.json')
    const statuses: [string, bare: number, empty: number][] = []
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, { parameters = [] }] of Object.entries(methods)) {
        const inQuery = (parameters as { in: string; name: string }[]).filter((parameter) => parameter.in === 'query')
        if (inQuery.length === 0) continue
        const url = `${server.url}${path.replace(/\{\w+\}/g, 'none')}`
        const status = async (query: string) => (await fetch(url + query, { method: method.toUpperCase() })).status
        const query = inQuery.map(({ name }) => `${name}=`).join('&')
        statuses.push([`${method} ${path}?${query}`, await status(''), await status(`?${query}`)])
      }
    }
    expect(statuses.length).toBeGreaterThan(4)
    expect(statuses.filter(([, bare, empty]) => bare !== empty)).toEqual([])
  })

  it('has schemas that compile, and accept what the server accepts', async () => {
    const { components } = await served<OpenApi>('/openapi.json')
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    ajv.addSchema({ $id: 'https://parley.test/openapi.json', components })
    const check = (name: string) =>
      ajv.compile({ $ref: `https://parley.test/openapi.json#/components/schemas/${name}` })
    for (const name of Object.keys(components.schemas)) expect(check(name)).toBeTypeOf('function')
    expect(check('JobRequest')({ content: 'hi', policy: 'queue' })).toBe(true)
    expect(check('JobRequest')({ content: [{ type: 'text', text: 'hi' }] })).toBe(true)
    expect(check('JobRequest')({ content: 5 })).toBe(false)
    const response = await fetch(`${server.url}/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ content: '/demo count=3 rate=0 ttft=0' }),
    })
    const accepted = (await response.json()) as { id: string }
    expect(check('JobAccepted')(accepted)).toBe(true)
    const job: unknown = await (await fetch(`${server.url}/jobs/${accepted.id}?wait=20`)).json()
    expect(job).toMatchObject({ state: 'completed', result: { text: '0 1 2' } })
    expect(check('Job')(job)).toBe(true)
    expect(check('Problem')(await (await fetch(`${server.url}/jobs/none`)).json())).toBe(true)
  })

  it('answers 304 to a client that already has it', async () => {
    const first = await fetch(`${server.url}/openapi.json`)
    const headers = { 'If-None-Match': first.headers.get('etag') ?? '' }
    expect((await fetch(`${server.url}/openapi.json`, { headers })).status).toBe(304)
  })
})

describe('GET /asyncapi.json', () => {
  it('is AsyncAPI 3.0, by the official schema', async () => {
    const document = await served<AsyncApi>('/asyncapi.json')
    expect(document.asyncapi).toBe('3.0.0')
    const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true })
    const validate = ajv.compile(asyncapi.schemasWithoutId['3.0.0'] as object)
    validate(document)
    expect(validate.errors).toBeNull()
  })

  it('has every frame of both sides, and resolvable schemas', async () => {
    const document = await served<AsyncApi>('/asyncapi.json')
    const { messages, schemas } = document.components
    const sides = (side: string) => Object.entries(messages).filter(([name]) => name.startsWith(`${side}.`))
    expect(sides('client').map(([, { name }]) => name)).toEqual(CLIENT_FRAME_TYPES)
    expect(sides('server').map(([, { name }]) => name)).toEqual(SERVER_FRAME_TYPES)
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path ?? '')
    const missing = references.filter((path) => {
      return (
        path.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document) ===
        undefined
      )
    })
    expect(missing).toEqual([])
    const ajv = new Ajv({ strict: false, validateFormats: false })
    ajv.addSchema({ $id: 'https://parley.test/asyncapi.json', components: { schemas } })
    const check = (name: string) =>
      ajv.compile({ $ref: `https://parley.test/asyncapi.json#/components/schemas/${name}` })
    expect(check('client.send')({ type: 'send', id: 'a', session: 's', content: 'hi' })).toBe(true)
    expect(check('client.send')({ type: 'send', id: 'a b', session: 's', content: 'hi' })).toBe(false)
    expect(check('server.pong')({ type: 'pong' })).toBe(true)
  })
})
