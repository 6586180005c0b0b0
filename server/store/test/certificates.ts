// Certificates for tests: creates a private authority and certificates signed by it, valid for one day. Node can sign
// but not create certificates, so this encodes the few X.509 fields (RFC 5280) that a TLS peer checks.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Identity {
  /** Paths of PEM files. */
  readonly certFile: string
  readonly keyFile: string
}

const DAY_MS = 24 * 60 * 60 * 1000
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'))
const COMMON_NAME = oid('550403')
const BASIC_CONSTRAINTS = oid('551d13')
const ALT_NAME = oid('551d11')

export class TestAuthority {
  readonly caFile: string
  readonly #folder: string
  readonly #name: string
  readonly #key: KeyObject
  #serial = 1

  constructor(folder: string, name: string) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#folder = folder
    this.#name = name
    this.#key = privateKey
    const isAuthority = sequence(BASIC_CONSTRAINTS, TRUE, octets(sequence(TRUE)))
    this.caFile = this.#write(`${name}.pem`, pem('CERTIFICATE', this.#certificate(name, publicKey, isAuthority)))
  }

  /** For localhost and 127.0.0.1, usable by a server and by a client. */
  issue(name: string): Identity {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const names = sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.from([127, 0, 0, 1])))
    const certificate = this.#certificate(name, publicKey, sequence(ALT_NAME, octets(names)))
    return {
      certFile: this.#write(`${name}.pem`, pem('CERTIFICATE', certificate)),
      keyFile: this.#write(`${name}-key.pem`, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    }
  }

  #certificate(subject: string, key: KeyObject, extension: Buffer): Buffer {
    const body = sequence(
      tagged(0xa0, integer(2)),
      integer(this.#serial++),
      ECDSA_SHA256,
      nameOf(this.#name),
      sequence(time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
      nameOf(subject),
      key.export({ type: 'spki', format: 'der' }),
      tagged(0xa3, sequence(extension)),
    )
    return sequence(body, ECDSA_SHA256, bits(sign('sha256', body, this.#key)))
  }

  #write(name: string, text: string): string {
    const path = join(this.#folder, name)
    writeFileSync(path, text)
    return path
  }
}

const TRUE = tagged(0x01, Buffer.from([0xff]))

function nameOf(name: string): Buffer {
  return sequence(tagged(0x31, sequence(COMMON_NAME, tagged(0x0c, Buffer.from(name)))))
}

/** UTCTime, which is valid for years up to 2049. */
function time(ms: number): Buffer {
  return tagged(0x17, Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`))
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'))
}

/** For values below 128. */
function integer(value: number): Buffer {
  return tagged(0x02, Buffer.from([value]))
}

function octets(content: Buffer): Buffer {
  return tagged(0x04, content)
}

function bits(content: Buffer): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([0]), content]))
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
