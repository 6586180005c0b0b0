// Parley as the benchmark runs it: the real server, stores on disk, with the model whose tokens tell their age. Takes
// further settings as JSON.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger, createServer, loadConfig } from '@parley/server'
import type { FromServer, ToServer } from './bench-message.ts'
import { benchCatalog } from './bench-model.ts'
import { bytesByStage, timeByStage } from './profiler.ts'
import { usageOf } from './usage.ts'

const send = (message: FromServer): void => {
  process.send?.(message)
}

const data = mkdtempSync(join(tmpdir(), 'parley-bench-'))
const settings = {
  PARLEY_PORT: '0',
  PARLEY_DATA: data,
  PARLEY_LOG_LEVEL: 'warn',
  PARLEY_MAX_CONNECTIONS: '20000',
  PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '20000',
  PARLEY_RUNS: '20000',
  PARLEY_RUN_TOKENS: '10000000',
  ...(JSON.parse(process.argv[2] ?? '{}') as Record<string, string>),
}
// Nodes with logs of their own may not share a port, as a client would find another log behind it each time. Here that is no harm.
const isShared = process.argv[3] === 'share-port'
const config = { ...(await loadConfig(settings, data)), ...(isShared ? { sharePort: 'yes' as const } : {}) }
const server = await createServer(config, createLogger('warn', 'bench'), { models: benchCatalog() })
send({ port: server.port })

process.on('message', (message: ToServer) => {
  if (message.ask === 'usage') {
    void usageOf(message).then(send)
  } else if (message.ask === 'profile') {
    const profile = message.what === 'time' ? timeByStage : bytesByStage
    void profile(message.ms).then((stages) => send({ stages }))
  } else if (message.ask === 'stop') {
    rmSync(data, { recursive: true, force: true })
    process.exit(0)
  }
})
