// Loaded into a server before it starts (`--import`): on SIGUSR2 its disk answers no more. Until then each write of the journal takes
// some milliseconds, so that it is a thread's; and the server's patience with the disk, counted in seconds, runs a hundred times as fast.
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
  // The server's own output is no file with places in it.
  if (typeof position !== 'number') return write(...call)
  if (hangs) return
  write(fd, buffer, offset, length, position, (...answer) => setTimeout(done, 5, ...answer))
}
syncBuiltinESMExports()
globalThis.setInterval = (listener, ms, ...rest) => setInterval(listener, ms === 1_000 ? 10 : ms, ...rest)
