// The client process of the resume storm. Each client reads one session over one connection; when that breaks, it
// reconnects to another node after a random delay, as real clients do.
import { CountingReader } from './harness/counting-reader.ts'

export type ToStorm =
  /** Connects every session to one node and starts an answer in it. */
  | {
      readonly ask: 'begin'
      readonly prefix: string
      readonly sessions: number
      readonly port: number
      /** The ports to reconnect to. */
      readonly elsewhere: readonly number[]
      readonly jitterMs: number
      readonly count: number
      readonly rate: number
    }
  /** From now on clients reconnect when they lose their connection. */
  | { readonly ask: 'storm' }
  | { readonly ask: 'live' }
  | { readonly ask: 'report'; readonly count: number }

export interface StormReport {
  /** Milliseconds from the planned reconnect of a client until it was live. */
  readonly waits: readonly number[]
  /** Milliseconds from the loss of the node until the client was live. */
  readonly outages: readonly number[]
  /** Milliseconds from the planned reconnect until the next token. */
  readonly tokens: readonly number[]
  /** Runs that another node took over. */
  readonly takeovers: number
  readonly ended: number
  /** How often the server reported that its log was unavailable. */
  readonly unavailable: number
  readonly problems: readonly string[]
}

export type FromStorm = { readonly done: true } | { readonly live: number } | StormReport

/** Connections that are opened concurrently before the storm. */
const BATCH = 100
/** Milliseconds until the next attempt after a failed reconnect. */
const RETRY_MS = 100

const send = (message: FromStorm): void => {
  process.send?.(message)
}

interface Client {
  readonly reader: CountingReader
  /** Values of `performance.now()`: node lost, reconnect planned, live again, next token. */
  lost: number
  due: number
  live: number
  token: number
}

let clients: Client[] = []
let elsewhere: readonly number[] = []
let jitterMs = 0
let storming = false

async function begin(message: Extract<ToStorm, { ask: 'begin' }>): Promise<void> {
  const { sessions, prefix, port, count, rate } = message
  elsewhere = message.elsewhere
  jitterMs = message.jitterMs
  clients = Array.from({ length: sessions }, (_, number): Client => {
    const client = { lost: 0, due: 0, live: 0, token: 0 }
    const reader = new CountingReader(`${prefix}_${number}`, {
      closed: () => {
        if (storming) reconnect(client as Client)
      },
      token: () => {
        if (client.live > 0 && client.token === 0) client.token = performance.now()
      },
    })
    return Object.assign(client, { reader })
  })
  for (let from = 0; from < clients.length; from += BATCH) {
    await Promise.all(
      clients.slice(from, from + BATCH).map(async ({ reader }) => {
        await reader.connect(port)
        await reader.ask(count, rate)
      }),
    )
  }
}

function reconnect(client: Client): void {
  client.lost = performance.now()
  client.due = client.lost + Math.random() * jitterMs
  const attempt = async (): Promise<void> => {
    const port = elsewhere[Math.floor(Math.random() * elsewhere.length)] as number
    try {
      await client.reader.connect(port)
      client.live = performance.now()
    } catch {
      // Refused, or lost again: try another node.
      setTimeout(again, RETRY_MS)
    }
  }
  const again = (): void => {
    attempt().catch((error: unknown) => client.reader.problems.push(String(error)))
  }
  setTimeout(again, client.due - client.lost)
}

process.on('message', (message: ToStorm) => {
  switch (message.ask) {
    case 'begin':
      begin(message).then(
        () => send({ done: true }),
        (error: unknown) => {
          console.error(error)
          process.exit(1)
        },
      )
      return
    case 'storm':
      storming = true
      return send({ done: true })
    case 'live':
      return send({ live: clients.filter(({ live }) => live > 0).length })
    case 'report': {
      const verdicts = clients.flatMap(({ reader }) => reader.verdict(message.count) ?? [])
      send({
        // Without the client's own random delay.
        waits: clients.map(({ live, due }) => (live === 0 ? Number.NaN : live - due)),
        outages: clients.map(({ live, lost }) => (live === 0 ? Number.NaN : live - lost)),
        tokens: clients.flatMap(({ token, due }) => (token === 0 ? [] : [token - due])),
        takeovers: clients.filter(({ reader }) => reader.epoch > 1).length,
        ended: clients.filter(({ reader }) => reader.reason !== undefined).length,
        unavailable: clients.reduce((sum, { reader }) => sum + reader.unavailable, 0),
        problems: verdicts,
      })
      return
    }
  }
})
