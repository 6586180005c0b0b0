#!/bin/sh
# Finding: a Node.js program that only listens with npm's eventsource 5 exits when its connection breaks, with code 0 and no
# further event: the timer of the reconnection does not keep the process alive. Version 4 reconnects.
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --ignore-scripts --no-audit --no-fund four@npm:eventsource@4.1.1 five@npm:eventsource@5.1.5 2>/dev/null
cat >client.mjs <<'JS'
const { EventSource } = await import(process.argv[2])
const source = new EventSource(process.argv[3])
source.onmessage = ({ data }) => {
  process.stdout.write(`event ${data}\n`)
  if (data === '2') source.close()
}
JS
cat >finding.mjs <<'JS'
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { promisify } from 'node:util'

let count = 0
const server = createServer((request, response) => {
  count += 1
  response.writeHead(200, { 'Content-Type': 'text/event-stream', Connection: 'close' })
  response.end(`retry: 200\nid: ${count}\ndata: ${count}\n\n`)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

async function listen(version) {
  count = 0
  const url = `http://127.0.0.1:${server.address().port}/`
  // Resolves only for the exit code 0.
  const { stdout } = await promisify(execFile)(process.execPath, ['client.mjs', version, url], { timeout: 20_000 })
  return stdout.trim().split('\n').join(', ')
}

const [four, five] = [await listen('four'), await listen('five')]
server.close()
console.log(`Node.js ${process.version}; a stream that ends after each event; both programs exited with code 0`)
console.log('eventsource 4.1.1:', four)
console.log('eventsource 5.1.5:', five)
if (four !== 'event 1, event 2' || five !== 'event 1') {
  console.log('changed: two events were expected from version 4, and one from version 5')
  process.exit(1)
}
console.log('as described: the process exits while version 5 waits to reconnect')
JS
timeout 60 node finding.mjs
