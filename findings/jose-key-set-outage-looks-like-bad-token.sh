#!/bin/sh
# Finding: jose's createRemoteJWKSet rejects with a JOSEError if the key set answers 500, HTML or a redirect: the base class of
# the errors for invalid tokens. A server that answers 401 to every JOSEError signs everybody out in an outage. A refused
# connection is a TypeError. The keys fetched before are not used either, once they are older than cacheMaxAge.
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund jose@6.2.17
cat >finding.mjs <<'JAVASCRIPT'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRemoteJWKSet, errors, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'

const { publicKey, privateKey } = await generateKeyPair('ES256')
const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }] })
const token = await new SignJWT().setProtectedHeader({ alg: 'ES256', kid: 'k1' }).setExpirationTime('1h').sign(privateKey)
const expired = await new SignJWT().setProtectedHeader({ alg: 'ES256', kid: 'k1' }).setExpirationTime(1).sign(privateKey)

const good = (response) => response.end(keys)
const outages = {
  500: (response) => response.writeHead(500).end(),
  HTML: (response) => response.end('<html>'),
  redirect: (response) => response.writeHead(302, { Location: '/keys' }).end(),
}
let answer = good
const server = createServer((_, response) => answer(response))
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = new URL(`http://127.0.0.1:${server.address().port}/keys`)
const failure = (jwt, set) => jwtVerify(jwt, set).then(() => undefined, (error) => error)

const invalid = await failure(expired, createRemoteJWKSet(url))
assert(invalid instanceof errors.JOSEError)
console.log(`an expired token: ${invalid.name} ${invalid.code}, a JOSEError`)
for (const [name, outage] of Object.entries(outages)) {
  answer = good
  const set = createRemoteJWKSet(url, { cacheMaxAge: 1 })
  assert.equal(await failure(token, set), undefined)
  // The keys are now older than cacheMaxAge.
  await new Promise((resolve) => setTimeout(resolve, 20))
  answer = outage
  const error = await failure(token, set)
  assert(error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC', `${name}: ${error}`)
  console.log(`a valid token, known key, answer ${name}: ${error.name} ${error.code}, a JOSEError: ${error.message}`)
}
server.closeAllConnections()
server.close()
const refused = await failure(token, createRemoteJWKSet(url))
assert(!(refused instanceof errors.JOSEError))
console.log(`a valid token, connection refused: ${refused.name}`)
JAVASCRIPT
node finding.mjs
