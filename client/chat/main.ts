#!/usr/bin/env node
// The command `parley`: reads the command line, runs the chat, and ends with its exit code.
import { CLIENT_VERSION, ParleyClient } from '../index.ts'
import { type ChatOptions, HELP, parseCommandLine } from './chat-options.ts'
import { CHAT_TOOLS } from './chat-tools.ts'
import { pipeChat } from './pipe-chat.ts'
import { terminalChat } from './terminal-chat.ts'

/** Attempts to reach the server before a program without a person gives up: about a minute. */
const PIPE_ATTEMPTS = 12

const parsed = parseCommandLine(process.argv.slice(2), process.env)
if (parsed.do === 'help') process.stdout.write(HELP)
else if (parsed.do === 'version') process.stdout.write(`parley ${CLIENT_VERSION}\n`)
else if (parsed.do === 'refuse') {
  process.stderr.write(`parley: ${parsed.problem} Try parley --help.\n`)
  process.exitCode = 2
} else {
  process.exitCode = await chat(parsed.options)
}

async function chat(options: ChatOptions): Promise<number> {
  const { stdin, stdout, stderr } = process
  // Who read our output has gone, as `head` does: there is nobody left to talk to.
  stdout.on('error', () => process.exit(0))
  const byLines = stdin.isTTY === true || options.lines
  const client = new ParleyClient({
    url: options.url,
    reconnect: byLines ? { maxMs: 5_000 } : { maxMs: 5_000, maxAttempts: PIPE_ATTEMPTS },
    ...(options.token === undefined ? {} : { token: options.token }),
  })
  try {
    const session = client.session(options.session, options.tools ? { tools: CHAT_TOOLS } : {})
    if (byLines) return await terminalChat(client, session, options, { input: stdin, output: stdout })
    return await pipeChat(client, session, options, { input: stdin, output: stdout, errors: stderr })
  } finally {
    await client.close()
  }
}
