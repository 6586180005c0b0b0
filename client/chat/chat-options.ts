// ChatOptions: the parsed command line of `parley`.
import { parseArgs } from 'node:util'
import { makeId } from '../make-id.ts'

export interface ChatOptions {
  readonly url: string
  readonly session: string
  readonly token: string | undefined
  readonly model: string | undefined
  readonly agent: string | undefined
  readonly tools: boolean
  /** Sends each line of piped input as a separate message. */
  readonly lines: boolean
}

export type CommandLine =
  | { readonly action: 'chat'; readonly options: ChatOptions }
  | { readonly action: 'help' }
  | { readonly action: 'version' }
  | { readonly action: 'error'; readonly message: string }

export const HELP = `parley chat: chat with a Parley server from the terminal

  parley chat [options]
  echo "a question" | parley chat [options]     send one message, print the answer to stdout

Options
  --url URL        server address (default: $PARLEY_URL, or http://127.0.0.1:8080)
  --session ID     open this session, or create it (default: a new session)
  --token TOKEN    access token; prefer $PARLEY_TOKEN, which other users of this machine cannot see
  --model MODEL    model that answers, if the server offers it
  --agent AGENT    agent that answers, if the server offers it
  --no-tools       don't offer this machine's tools to the model
  --lines          send each line of piped input as a separate message
  -h, --help       show this help
  --version        show the version

While an answer streams: type a line to interrupt it and send the line instead, or press Ctrl-C to stop it.
While other agents work for the answer: /stop NAME stops one of them.
@NAME at the beginning of a message sends it to that agent. /agent NAME picks the agent of
the next messages, and /agent alone the default.
Otherwise: press Ctrl-C twice, or Ctrl-D, to exit. Continue the session later with --session.

Exit codes: 0 success, 1 the answer or the connection failed, 2 invalid usage, 130 interrupted.
`
const ID = /^[A-Za-z0-9_-]{1,128}$/

export function parseCommandLine(args: readonly string[], env: NodeJS.ProcessEnv): CommandLine {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(args)
  } catch (error) {
    return { action: 'error', message: error instanceof Error ? error.message : String(error) }
  }
  const { values, positionals } = parsed
  if (values.help === true) return { action: 'help' }
  if (values.version === true) return { action: 'version' }
  const [command = 'chat', ...others] = positionals
  if (command !== 'chat') return { action: 'error', message: `Unknown command: ${command}.` }
  if (others.length > 0) return { action: 'error', message: `Unexpected argument: ${others[0]}.` }
  const url = values.url ?? env.PARLEY_URL ?? 'http://127.0.0.1:8080'
  if (!/^(https?|wss?):/i.test(url) || !URL.canParse(url)) {
    return { action: 'error', message: `Invalid URL: ${url}. Use http, https, ws or wss.` }
  }
  if (values.session !== undefined && !ID.test(values.session)) {
    const message = `Invalid session id: ${values.session}. Use 1–128 characters of A-Z a-z 0-9 _ -.`
    return { action: 'error', message }
  }
  return {
    action: 'chat',
    options: {
      url,
      session: values.session ?? makeId('chat'),
      token: values.token ?? env.PARLEY_TOKEN,
      model: values.model,
      agent: values.agent,
      tools: values['no-tools'] !== true,
      lines: values.lines === true,
    },
  }
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      session: { type: 'string' },
      token: { type: 'string' },
      model: { type: 'string' },
      agent: { type: 'string' },
      'no-tools': { type: 'boolean' },
      lines: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
    },
  })
}
