// The clients of a resume storm, in a process of their own: each reads one session over one connection, and when that
// breaks comes back elsewhere after a random time of its own, as a well-behaved client does.
import { CountingReader } from './harness/counting-reader.ts'
import type { FromStorm, ToStorm } from './storm-message.ts'

/** Connections that are opened at once while all is calm. */
const BAND = 100
/** Milliseconds before another try, when one node refused. */
const RETRY_MS = 100

const send = (message: FromStorm): void => {
  process.send?.(message)
}

interface Client {
  readonly reader: CountingReader
  /** Milliseconds of `performance.now()`: when it lost its node, meant to come back, was live again, and read on. */
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
        if (storming) comeBack(client as Client)
      },
      token: () => {
        if (client.live > 0 && client.token === 0) client.token = performance.now()
      },
    })
    return Object.assign(client, { reader })
  })
  for (let from = 0; from < clients.length; from += BAND) {
    await Promise.all(
      clients.slice(from, from + BAND).map(async ({ reader }) => {
        await reader.connect(port)
        await reader.ask(count, rate)
      }),
    )
  }
}

function comeBack(client: Client): void {
  client.lost = performance.now()
  client.due = client.lost + Math.random() * jitterMs
  const attempt = async (): Promise<void> => {
    const port = elsewhere[Math.floor(Math.random() * elsewhere.length)] as number
    try {
      await client.reader.connect(port)
      client.live = performance.now()
    } catch {
      // Refused, or lost again: somewhere else then.
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
        // Beyond what the client waited of its own accord.
        waits: clients.map(({ live, due }) => (live === 0 ? Number.NaN : live - due)),
        whole: clients.map(({ live, lost }) => (live === 0 ? Number.NaN : live - lost)),
        tokens: clients.flatMap(({ token, due }) => (token === 0 ? [] : [token - due])),
        epochs: clients.filter(({ reader }) => reader.epoch > 1).length,
        ended: clients.filter(({ reader }) => reader.reason !== undefined).length,
        told: clients.reduce((sum, { reader }) => sum + reader.told, 0),
        problems: verdicts,
      })
      return
    }
  }
})
