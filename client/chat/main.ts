#!/usr/bin/env node
// The command `parley`: parses the command line, runs the chat, and exits with its code.
import { CLIENT_VERSION, ParleyClient } from '../index.ts'
import { type ChatOptions, HELP, parseCommandLine } from './chat-options.ts'
import { CHAT_TOOLS } from './chat-tools.ts'
import { pipeChat } from './pipe-chat.ts'
import { terminalChat } from './terminal-chat.ts'

/** Attempts to reach the server in a pipe before the command fails: about a minute. */
const PIPE_ATTEMPTS = 12

const parsed = parseCommandLine(process.argv.slice(2), process.env)
if (parsed.action === 'help') process.stdout.write(HELP)
else if (parsed.action === 'version') process.stdout.write(`parley ${CLIENT_VERSION}\n`)
else if (parsed.action === 'error') {
  process.stderr.write(`parley: ${parsed.message} Try parley --help.\n`)
  process.exitCode = 2
} else {
  process.exitCode = await chat(parsed.options)
}

async function chat(options: ChatOptions): Promise<number> {
  const { stdin, stdout, stderr } = process
  // A reader such as `head` has exited: there is nothing more to do.
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
