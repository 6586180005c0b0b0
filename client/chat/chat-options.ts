// ChatOptions: what the command line says.
import { parseArgs } from 'node:util'
import { makeId } from '@parley/protocol/make-id'

export interface ChatOptions {
  readonly url: string
  readonly session: string
  /** The session was named, so that it may have a history. */
  readonly joins: boolean
  readonly token: string | undefined
  readonly model: string | undefined
  readonly tools: boolean
  /** Each line of the input is a message of its own, although it is no terminal. */
  readonly lines: boolean
}

export type CommandLine =
  | { readonly do: 'chat'; readonly options: ChatOptions }
  | { readonly do: 'help' }
  | { readonly do: 'version' }
  | { readonly do: 'refuse'; readonly problem: string }

export const HELP = `parley chat: talk to a Parley server from the terminal

  parley chat [options]
  echo "a question" | parley chat [options]     one message; the answer goes to stdout

Options
  --url URL        the server; default $PARLEY_URL, else http://127.0.0.1:8080
  --session ID     join this session, or begin it; default: a new one
  --token TOKEN    better in $PARLEY_TOKEN, where other users of this machine cannot see it
  --model MODEL    the model to answer, if the server offers it
  --no-tools       offer the model no tools on this machine
  --lines          take each line of piped input as a message of its own
  --help, --version

While it speaks: a line that you type stops it and is answered instead; Ctrl-C stops it.
While it is silent: Ctrl-C twice, or Ctrl-D, leaves. The session stays: join it again with --session.

Exit codes: 0 done, 1 the answer or the connection failed, 2 wrong usage, 130 interrupted.
`

const ID = /^[A-Za-z0-9_-]{1,128}$/

export function parseCommandLine(args: readonly string[], env: NodeJS.ProcessEnv): CommandLine {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(args)
  } catch (error) {
    return { do: 'refuse', problem: error instanceof Error ? error.message : String(error) }
  }
  const { values, positionals } = parsed
  if (values.help === true) return { do: 'help' }
  if (values.version === true) return { do: 'version' }
  const [command = 'chat', ...others] = positionals
  if (command !== 'chat') return { do: 'refuse', problem: `There is no command ${command}.` }
  if (others.length > 0) return { do: 'refuse', problem: `What is ${others[0]} meant to be?` }
  const url = values.url ?? env.PARLEY_URL ?? 'http://127.0.0.1:8080'
  if (!/^(https?|wss?):/i.test(url) || !URL.canParse(url)) {
    return { do: 'refuse', problem: `${url} is no http or ws address.` }
  }
  if (values.session !== undefined && !ID.test(values.session)) {
    return { do: 'refuse', problem: 'A session id is 1–128 of A-Z a-z 0-9 _ -.' }
  }
  return {
    do: 'chat',
    options: {
      url,
      session: values.session ?? makeId('chat'),
      joins: values.session !== undefined,
      token: values.token ?? env.PARLEY_TOKEN,
      model: values.model,
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
      'no-tools': { type: 'boolean' },
      lines: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
    },
  })
}
