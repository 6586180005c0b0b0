// The Parley process of a benchmark: the real server with stores on disk, and the model whose tokens contain their
// creation time. Its first argument is further settings as JSON.
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
// The configuration forbids nodes with separate logs on one port, because clients would alternate between logs. Here it
// does not matter.
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
