#!/usr/bin/env node
// The command parley-server: reads the settings, starts the server, prints its address, and stops it on a signal.
import { parseArgs } from 'node:util'
import { authConfigOf } from './assembly/auth-config.ts'
import { backUpLog, renewLog } from './assembly/open-stores.ts'
import { StartError } from './assembly/start-error.ts'
import { AccessTokenError, type AccessTokenOptions, createAccessToken } from './auth/access-token.ts'
import { type Config, ConfigError, loadConfig } from './config/config.ts'
import { createLogger, type Logger } from './config/logger.ts'
import { describeSettings } from './config/settings.ts'
import { version } from './config/version.ts'
import type { Server } from './create-server.ts'

const EXIT = { started: 1, usage: 2, broken: 3, interrupted: 130 } as const

const HELP = `parley-server: a realtime server for LLM chat and agent sessions.

Usage:
  parley-server                       start the server
  parley-server --backup <folder>     copy the embedded log into a new folder, also while a server uses it
  parley-server --new-epoch           run once after restoring the log from any other copy, or from a NATS backup
  parley-server token --user <id> [--name <name>] [--role <role>] [--ttl 12h] [--audience <url>]
                                      print an access token, signed with PARLEY_JWT_SECRET or the first secret in
                                      PARLEY_JWT_SECRET_FILE. --ttl is 1s to 365d. --role limits what it allows in any
                                      session: owner (default), editor, approver or viewer. --audience replaces
                                      PARLEY_JWT_AUDIENCE: for /mcp, give it PARLEY_MCP_URL
  parley-server --help                show this text
  parley-server --version             show the version

Settings come from environment variables, or from parley.config.mjs, .js, .ts or .json in the working folder.
PARLEY_CONFIG names another file, which may also contain tools, agents and MCP servers. Below: the variable, the key in the file and
the default of each setting, then its meaning. Units are in parentheses: ms, s, bytes.

${describeSettings()}

Model providers use their own variables: OPENAI_API_KEY, ANTHROPIC_API_KEY, GOOGLE_GENERATIVE_AI_API_KEY, and
OPENAI_BASE_URL, ANTHROPIC_BASE_URL, GOOGLE_GENERATIVE_AI_BASE_URL.
`

const [argument, value] = process.argv.slice(2)
if (argument === '--help' || argument === '-h') write(process.stdout, HELP)
else if (argument === '--version') write(process.stdout, `${version()}\n`)
else if (argument === '--backup' && value !== undefined) await run((config) => backUp(config, value))
else if (argument === '--new-epoch') await run(renew)
else if (argument === 'token') await makeToken(process.argv.slice(3))
else if (argument !== undefined) fail(EXIT.usage, `Unexpected or incomplete argument: ${argument}. See --help.`)
else await start()

async function backUp(config: Config, to: string): Promise<string> {
  await backUpLog(config, to)
  return `Copied the log to ${to}.`
}

async function renew(config: Config): Promise<string> {
  const { before, after } = await renewLog(config, createLogger(config.logLevel, config.node))
  return `Changed the epoch of the log from ${before} to ${after}. Clients with older cursors get a reset.`
}

async function makeToken(args: string[]): Promise<void> {
  let options: AccessTokenOptions
  try {
    const text = { type: 'string' } as const
    const { values } = parseArgs({ args, options: { user: text, name: text, role: text, ttl: text, audience: text } })
    const { user, ttl = '12h' } = values
    if (user === undefined) return fail(EXIT.usage, '--user is missing. Example: parley-server token --user ada')
    options = { ...values, user, ttl }
  } catch (error) {
    return fail(EXIT.usage, `${(error as Error).message}. See --help.`)
  }
  await run((config) => createAccessToken(authConfigOf(config), options))
}

/** Loads the settings, does the work and prints its result. */
async function run(work: (config: Config) => Promise<string>): Promise<void> {
  try {
    write(process.stdout, `${await work(await loadConfig(process.env, process.cwd()))}\n`)
  } catch (error) {
    if (error instanceof ConfigError || error instanceof AccessTokenError) return fail(EXIT.usage, error.message)
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
    if (config.role === 'relay') return await relay(config, logger)
    // The other commands do not wait until all of it is loaded.
    const { createServer } = await import('./create-server.ts')
    server = await createServer(config, logger)
  } catch (error) {
    if (error instanceof ConfigError) return fail(EXIT.usage, error.message)
    if (error instanceof StartError) return fail(EXIT.started, error.message)
    throw error
  }
  stopOnSignals(
    () => server.close(),
    () => ({ connections: server.connections }),
    logger,
  )
  exitOnUnexpectedError(logger)
  exitOnBrokenLog(server, logger)
  announce(server, config, logger)
}

async function relay(config: Config, logger: Logger): Promise<void> {
  const { startRelay } = await import('./assembly/open-relay.ts')
  const relaying = await startRelay(config, logger)
  stopOnSignals(
    () => relaying.close(),
    () => ({}),
    logger,
  )
  exitOnUnexpectedError(logger)
  // At any log level, because programs wait for this line.
  logger
    .child({}, { level: 'info' })
    .info({ listening: true, url: relaying.url, version: version(), pid: process.pid }, 'listening')
}

/** Prints the address: a log line for programs, or text on a terminal. */
function announce(server: Server, config: Config, logger: Logger): void {
  const { url, data, model } = server
  const hint =
    model === 'demo'
      ? 'The demo model is active. For a real model, set PARLEY_MODEL=openai:gpt-5 and OPENAI_API_KEY, or PARLEY_MODEL=compatible:<id> and PARLEY_COMPATIBLE_URL.'
      : 'To use another model, set PARLEY_MODEL; see --help.'
  const facts = { listening: true, url, data, model, hint, config: config.file, version: version(), pid: process.pid }
  if (!process.stdout.isTTY) {
    // At any log level, because programs wait for this line.
    logger.child({}, { level: 'info' }).info(facts, 'listening')
    return
  }
  write(
    process.stdout,
    `\n  Parley ${version()}\n\n  page   ${url}\n  data   ${data}\n  model  ${model}\n\n  ${hint}\n\n`,
  )
  logger.debug(facts, 'listening')
}

function stopOnSignals(close: () => Promise<void>, facts: () => object, logger: Logger): void {
  let stopping = false
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(EXIT.interrupted)
    stopping = true
    logger.info({ signal, ...facts() }, 'stopping')
    close().then(
      () => {
        logger.info('stopped')
        process.exit(0)
      },
      (error: unknown) => {
        logger.fatal({ err: error }, 'shutdown failed')
        process.exit(EXIT.started)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** Exits on an unexpected error: the state in memory is then unknown, and the log is durable. */
function exitOnUnexpectedError(logger: Logger): void {
  const exit = (error: unknown): void => {
    logger.fatal({ err: error }, 'unexpected error')
    process.exit(EXIT.started)
  }
  process.on('uncaughtException', exit)
  process.on('unhandledRejection', exit)
}

/** Exits if the log broke, so that a supervisor restarts the process and opens the folder again. Clients would wait forever. */
function exitOnBrokenLog(server: Server, logger: Logger): void {
  void server.broken.then((error) => {
    logger.fatal({ err: error }, 'the log can no longer be written; exiting for a restart')
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
