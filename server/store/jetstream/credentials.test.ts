// Authentication between a node and NATS: TLS with a private authority, client certificates, and credentials files.
// streams.test.ts covers passwords, tokens and nkeys.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { output } from '../contracts/session-log.contract.ts'
import { TestAuthority } from '../test/certificates.ts'
import { installNatsJwt } from '../test/nats-jwt.ts'
import { type JetStreamConnectionOptions, JetStreamStartError } from './connection.ts'
import { openJetStreamStores } from './stores.ts'

const folder = mkdtempSync(join(tmpdir(), 'parley-tls-'))
const ours = new TestAuthority(folder, 'our-authority')
const other = new TestAuthority(folder, 'another-authority')
const node = ours.issue('node')
const stranger = other.issue('stranger')
const servers: NatsServer[] = []
afterAll(async () => {
  await Promise.all(servers.map((server) => server.dispose()))
  rmSync(folder, { recursive: true, force: true })
})

async function serve(config: string): Promise<NatsServer> {
  const server = await NatsServer.start({ config })
  servers.push(server)
  return server
}

function tls(name: string, more = ''): string {
  const { certFile, keyFile } = ours.issue(name)
  return `tls { cert_file: "${certFile}", key_file: "${keyFile}", ${more} }`
}

type Options = Omit<JetStreamConnectionOptions, 'logger' | 'servers'>

/** Connects, opens the stores and appends an entry. */
async function use(url: string, options: Options): Promise<number> {
  const stores = await openJetStreamStores({ connection: { servers: [url], startTimeoutMs: 2_000, ...options } })
  try {
    const { seq } = await stores.log.append('s', `in.${Math.random()}`, output(0), 0)
    return seq
  } finally {
    await stores.close()
  }
}

async function rejection(url: string, options: Options): Promise<string> {
  const error = await use(url, { ...options, startTimeoutMs: 300 }).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(JetStreamStartError)
  return (error as Error).message
}

describe('TLS', () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await serve(tls('nats'))
  })

  it('is used with a private authority, with or without a tls: URL', async () => {
    expect(await use(server.url, { tls: { caFile: ours.caFile } })).toBeGreaterThan(0)
    expect(await use(server.url.replace('nats:', 'tls:'), { tls: { caFile: ours.caFile } })).toBeGreaterThan(0)
  })

  it('rejects a server of an unknown authority, or of another one than configured', async () => {
    const url = server.url.replace('nats:', 'tls:')
    expect(await rejection(url, {})).toMatch(/^cannot connect to NATS at tls:.*certificate.*PARLEY_NATS_CA/)
    expect(await rejection(url, { tls: { caFile: other.caFile } })).toMatch(/certificate.*PARLEY_NATS_CA/)
  })
})

describe('a server that requires client certificates', () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await serve(tls('strict', `ca_file: "${ours.caFile}", verify: true`))
  })

  it("accepts a node's certificate of its trusted authority", async () => {
    expect(await use(server.url, { tls: { caFile: ours.caFile, ...node } })).toBeGreaterThan(0)
  })

  it('rejects a missing certificate, and one of another authority', async () => {
    const { caFile } = ours
    const options = [{ caFile }, { caFile, ...stranger }]
    const messages = await Promise.all(options.map((files) => rejection(server.url, { tls: files })))
    for (const message of messages) expect(message).toMatch(/^cannot connect to NATS/)
  })
})

describe('a credentials file', () => {
  it('is used, and is rejected if it belongs to another installation or is missing', async () => {
    const installation = installNatsJwt()
    const server = await serve(installation.config)
    const file = (name: string, text: string): string => {
      const path = join(folder, name)
      writeFileSync(path, text)
      return path
    }
    expect(await use(server.url, { credsFile: file('node.creds', installation.creds()) })).toBeGreaterThan(0)
    expect(await rejection(server.url, { credsFile: file('other.creds', installNatsJwt().creds()) })).toMatch(
      /^NATS rejected the credentials/,
    )
    expect(await rejection(server.url, { credsFile: join(folder, 'absent.creds') })).toMatch(
      /^cannot read the credentials file/,
    )
  })
})
