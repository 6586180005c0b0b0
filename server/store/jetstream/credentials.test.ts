// How a node shows NATS who it is, and sees who NATS is: TLS with an authority of one's own, a certificate of the node's,
// credentials files. Passwords, tokens and nkeys are in jetstream-streams.test.ts.
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

/** Opens, stores and reads: what a node does with it. */
async function use(url: string, options: Options): Promise<number> {
  const stores = await openJetStreamStores({ connection: { servers: [url], patienceMs: 2_000, ...options } })
  try {
    const { seq } = await stores.log.append('s', `in.${Math.random()}`, output(0), 0)
    return seq
  } finally {
    await stores.close()
  }
}

async function refused(url: string, options: Options): Promise<string> {
  const error = await use(url, { ...options, patienceMs: 300 }).then(
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

  it('is used with an authority of our own, whether or not the URL asks for it', async () => {
    expect(await use(server.url, { tls: { caFile: ours.caFile } })).toBeGreaterThan(0)
    expect(await use(server.url.replace('nats:', 'tls:'), { tls: { caFile: ours.caFile } })).toBeGreaterThan(0)
  })

  it('is refused to a server whose authority nobody named, or another one than was named', async () => {
    const url = server.url.replace('nats:', 'tls:')
    expect(await refused(url, {})).toMatch(/^NATS cannot be reached at tls:.*certificate.*PARLEY_NATS_CA/)
    expect(await refused(url, { tls: { caFile: other.caFile } })).toMatch(/certificate.*PARLEY_NATS_CA/)
  })
})

describe('a server that wants to see certificates', () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await serve(tls('strict', `ca_file: "${ours.caFile}", verify: true`))
  })

  it("takes a node's, of the authority that it trusts", async () => {
    expect(await use(server.url, { tls: { caFile: ours.caFile, ...node } })).toBeGreaterThan(0)
  })

  it('refuses none, and one of another authority', async () => {
    const { caFile } = ours
    const options = [{ caFile }, { caFile, ...stranger }]
    const messages = await Promise.all(options.map((files) => refused(server.url, { tls: files })))
    for (const message of messages) expect(message).toMatch(/^NATS cannot be reached/)
  })
})

describe('a credentials file', () => {
  it('is used, and refused when it is of another installation, or not there', async () => {
    const installation = installNatsJwt()
    const server = await serve(installation.config)
    const file = (name: string, text: string): string => {
      const path = join(folder, name)
      writeFileSync(path, text)
      return path
    }
    expect(await use(server.url, { credsFile: file('node.creds', installation.creds()) })).toBeGreaterThan(0)
    expect(await refused(server.url, { credsFile: file('other.creds', installNatsJwt().creds()) })).toMatch(
      /^NATS refuses the credentials/,
    )
    expect(await refused(server.url, { credsFile: join(folder, 'absent.creds') })).toMatch(
      /^the file of the credentials cannot be read/,
    )
  })
})
