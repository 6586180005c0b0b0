#!/usr/bin/env node
// The server's command: reads the settings, starts, says where it is, and stops when told to.
import { backUpLog, renewLog, StartError } from './assembly/open-stores.ts'
import { type Config, ConfigError, loadConfig } from './config/config.ts'
import { createLogger, type Logger } from './config/logger.ts'
import { describeSettings } from './config/settings.ts'
import { version } from './config/version.ts'
import { createServer, type Server } from './create-server.ts'

const EXIT = { started: 1, usage: 2, broken: 3, interrupted: 130 } as const

const HELP = `parley-server: a realtime server for LLM chat and agent sessions.

  parley-server [--help] [--version]
  parley-server --backup <folder>     copies the data folder into a new one, also while a server uses it
  parley-server --new-epoch           after the log was restored from a copy that was made otherwise, or on NATS

Settings come from the environment, or from parley.config.mjs, .js, .ts or .json in the working folder (or where
PARLEY_CONFIG says), by the name in the second column. The file may also hold tools (made by defineTool) and agents.

${describeSettings()}

Models of providers use those providers' own variables: OPENAI_API_KEY, ANTHROPIC_API_KEY,
GOOGLE_GENERATIVE_AI_API_KEY, and OPENAI_BASE_URL and the like.
`

const [argument, value] = process.argv.slice(2)
if (argument === '--help' || argument === '-h') write(process.stdout, HELP)
else if (argument === '--version') write(process.stdout, `${version()}\n`)
else if (argument === '--backup' && value !== undefined) await tend((config) => backUp(config, value))
else if (argument === '--new-epoch') await tend(renew)
else if (argument !== undefined) fail(EXIT.usage, `${argument} is not an option. See --help.`)
else await start()

async function backUp(config: Config, to: string): Promise<string> {
  await backUpLog(config, to)
  return `The log was copied to ${to}.`
}

async function renew(config: Config): Promise<string> {
  const { before, after } = await renewLog(config, createLogger(config.logLevel, config.node))
  return `The log's epoch was ${before}, and is ${after}: clients that come back get a reset.`
}

/** Does something to the log and says what. */
async function tend(work: (config: Config) => Promise<string>): Promise<void> {
  try {
    write(process.stdout, `${await work(await loadConfig(process.env, process.cwd()))}\n`)
  } catch (error) {
    if (error instanceof ConfigError) return fail(EXIT.usage, error.message)
    if (error instanceof StartError) return fail(EXIT.started, error.message)
    throw error
  }
}

async function start(): Promise<void> {
  let config: Config
  let server: Server
  let logger: Logger
  try {
    config = await loadConfig(process.env, process.cwd())
    logger = createLogger(config.logLevel, config.node)
    server = await createServer(config, logger)
  } catch (error) {
    if (error instanceof ConfigError) return fail(EXIT.usage, error.message)
    if (error instanceof StartError) return fail(EXIT.started, error.message)
    throw error
  }
  stopOnSignals(server, logger)
  dieOnFaults(logger)
  dieOnBrokenLog(server, logger)
  announce(server, config, logger)
}

/** One line that programs read; for people, the same in words. */
function announce(server: Server, config: Config, logger: Logger): void {
  const { url, data, model } = server
  const hint =
    model === 'demo'
      ? 'The demo model answers. For a real one: PARLEY_MODEL=openai:gpt-5 with OPENAI_API_KEY, or PARLEY_MODEL=compatible:<id> with PARLEY_COMPATIBLE_URL.'
      : 'Another model: set PARLEY_MODEL, see --help.'
  const facts = { listening: true, url, data, model, hint, config: config.file, version: version(), pid: process.pid }
  if (!process.stdout.isTTY) {
    // At any level: programs wait for it.
    logger.child({}, { level: 'info' }).info(facts, 'listening')
    return
  }
  write(
    process.stdout,
    `\n  Parley ${version()}\n\n  page   ${url}\n  data   ${data}\n  model  ${model}\n\n  ${hint}\n\n`,
  )
  logger.debug(facts, 'listening')
}

function stopOnSignals(server: Server, logger: Logger): void {
  let stopping = false
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(EXIT.interrupted)
    stopping = true
    logger.info({ signal, connections: server.connections }, 'stopping')
    server.close().then(
      () => {
        logger.info('stopped')
        process.exit(0)
      },
      (error: unknown) => {
        logger.fatal({ err: error }, 'the stop failed')
        process.exit(EXIT.started)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** A fault that nobody expected: what state things are in is unknown, and the log is durable. */
function dieOnFaults(logger: Logger): void {
  const die = (error: unknown): void => {
    logger.fatal({ err: error }, 'an unexpected fault')
    process.exit(EXIT.started)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
}

/** Whoever looks after the process starts it anew, and the folder is opened again; here, clients would wait for ever. */
function dieOnBrokenLog(server: Server, logger: Logger): void {
  void server.broken.then((error) => {
    logger.fatal({ err: error }, 'the log cannot be written any more: the process ends, to be started anew')
    process.exit(EXIT.broken)
  })
}

function fail(code: number, message: string): void {
  write(process.stderr, `${message}\n`)
  process.exitCode = code
}

function write(stream: NodeJS.WriteStream, text: string): void {
  stream.write(text)
}
