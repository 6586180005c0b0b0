// Preloaded into a server (`--import`): after SIGUSR2 its disk hangs. Before, each write of the journal takes some
// milliseconds, so that it runs on a thread. The server's disk timeout, which counts seconds, runs a hundred times as
// fast.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { write } = fs
const { setInterval } = globalThis
let hangs = false
process.on('SIGUSR2', () => {
  hangs = true
})
fs.write = (...call) => {
  const [fd, buffer, offset, length, position, done] = call
  // Writes without a position are the server's output, not the journal.
  if (typeof position !== 'number') return write(...call)
  if (hangs) return
  write(fd, buffer, offset, length, position, (...answer) => setTimeout(done, 5, ...answer))
}
syncBuiltinESMExports()
globalThis.setInterval = (listener, ms, ...rest) => setInterval(listener, ms === 1_000 ? 10 : ms, ...rest)
