// NATS's decentralized authentication for tests: an operator, an account with JetStream, and a user with a credentials
// file, as `nsc` creates them. A claim is a JWT signed with an nkey.
import { nkeys } from '@nats-io/transport-node'

type KeyPair = ReturnType<typeof nkeys.createUser>

export interface Installation {
  /** Lines for the server's configuration. */
  readonly config: string
  /** The content of a credentials file for a new user. */
  creds(): string
}

const UNLIMITED = { subs: -1, data: -1, payload: -1 }
const ACCOUNT = { ...UNLIMITED, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 }
const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }

export function installNatsJwt(): Installation {
  const [operator, system, account] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount()]
  const [systemId, accountId] = [system.getPublicKey(), account.getPublicKey()]
  const operatorJwt = claim(operator, operator, 'operator', { system_account: systemId })
  const systemJwt = claim(operator, system, 'account', { limits: ACCOUNT })
  const accountJwt = claim(operator, account, 'account', { limits: { ...ACCOUNT, ...JETSTREAM } })
  return {
    config: `operator: ${operatorJwt}
system_account: ${systemId}
resolver: MEMORY
resolver_preload: { ${systemId}: ${systemJwt}, ${accountId}: ${accountJwt} }`,
    creds() {
      const user = nkeys.createUser()
      const jwt = claim(account, user, 'user', { pub: {}, sub: {}, ...UNLIMITED })
      const seed = Buffer.from(user.getSeed()).toString()
      return `${block('NATS USER JWT', jwt)}\n${block('USER NKEY SEED', seed)}`
    },
  }
}

function claim(issuer: KeyPair, subject: KeyPair, type: string, fields: object): string {
  const claims = {
    jti: subject.getPublicKey(),
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    name: type,
    sub: subject.getPublicKey(),
    nats: { ...fields, type, version: 2 },
  }
  const text = [{ typ: 'JWT', alg: 'ed25519-nkey' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`
}

function block(label: string, text: string): string {
  return `-----BEGIN ${label}-----\n${text}\n------END ${label}------\n`
}
