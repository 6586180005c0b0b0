// A node that lags behind: what another node has acknowledged counts for every command. It once answered from its own
// state: on a busy cluster 7 of 60 fresh invitations were invalid, 7 of 60 new editors were forbidden to send, and 2 of
// 60 demoted editors still sent. Here the lag is certain: a node learns of an entry only when it asks the log itself.
import { ReplyError, type Role, type Send, type Tool } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import type { JetStreamStores } from '../store/jetstream/stores.ts'
import type { Entry } from '../store/ports/entry.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import { JetStreamHarness } from '../store/test/jetstream-harness.ts'
import type { HttpExchange } from '../transports/http/http-exchange.ts'
import type { HttpRequest } from '../transports/http/http-request.ts'
import { formatJobId } from '../transports/jobs/job-id.ts'
import { openJobTransport } from '../transports/jobs/job-routes.ts'
import type { OpenAiPorts } from '../transports/openai/openai-ports.ts'
import { lookUpResponse } from '../transports/openai/response-lookup.ts'
import { catchUp } from './catch-up.ts'
import { testService } from './test/test-service.ts'

const TRIALS = 60
const HOUR_MS = 3_600_000
const SCHEMA = { type: 'object' }

const caller = (user: string) => ({ connection: `c_${user}`, user, role: 'owner' })
const ANN = caller('ann')

/** A log whose followers get nothing after `hold`, until the node calls another method of the log. */
class LaggingLog implements SessionLog {
  readonly epoch: string
  readonly #inner: SessionLog
  #held: (() => void)[] | undefined

  constructor(inner: SessionLog) {
    this.epoch = inner.epoch
    this.#inner = inner
  }

  hold(): void {
    this.#held ??= []
  }

  readonly append: SessionLog['append'] = (...args) => this.#asked().append(...args)
  readonly writer: SessionLog['writer'] = (...args) => this.#asked().writer(...args)
  readonly read: SessionLog['read'] = (...args) => this.#asked().read(...args)
  readonly head: SessionLog['head'] = (...args) => this.#asked().head(...args)
  readonly last: SessionLog['last'] = (...args) => this.#asked().last(...args)
  readonly purge: SessionLog['purge'] = (...args) => this.#asked().purge(...args)
  readonly sweep: SessionLog['sweep'] = () => this.#asked().sweep()
  readonly follow: SessionLog['follow'] = (session, after, follower) =>
    this.#inner.follow(session, after, {
      ...follower,
      entries: (entries: readonly Entry[]) => {
        const deliver = (): void => follower.entries(entries)
        if (this.#held === undefined) deliver()
        else this.#held.push(deliver)
      },
    })

  #asked(): SessionLog {
    const held = this.#held ?? []
    this.#held = undefined
    for (const deliver of held) deliver()
    return this.#inner
  }
}

function nodeOn({ transcripts, runs, log: inner }: JetStreamStores, open = false) {
  const log = new LaggingLog(inner)
  return { log, ...testService({ log, transcripts, runs }, { open }) }
}

type Node = ReturnType<typeof nodeOn>

let server: NatsServer
let harness: JetStreamHarness
let others: JetStreamStores[]
let a: Node
let b: Node
let c: Node

beforeAll(async () => {
  server = await NatsServer.start()
  harness = await JetStreamHarness.open(server)
  others = [await harness.join(), await harness.join()]
  ;[a, b, c] = [harness.stores, ...others].map((stores) => nodeOn(stores)) as [Node, Node, Node]
})
afterAll(async () => {
  for (const { sessions } of [a, b, c]) sessions.close()
  await Promise.all(others.map((stores) => stores.close()))
  await harness.close()
  await server.dispose()
})

const message = (session: string, id: string): Send => ({ type: 'send', id, session, content: 'hi' })
const codeOf = (error: unknown): string => (error instanceof ReplyError ? error.code : String(error))

const requestOf = (user: string, id: string): HttpRequest =>
  ({
    ...caller(user),
    id: 'req_1',
    params: { id },
    header: () => undefined,
    queryAs: () => ({}),
  }) as unknown as HttpRequest

/** A session of ann with this member, which all nodes follow. */
async function openSession(session: string, user: string, role: Role): Promise<void> {
  await a.service.admitReader(session, ANN)
  const { token } = await a.service.invite(session, ANN, role, HOUR_MS)
  await a.service.join(session, caller(user), token)
  for (const { service } of [b, c]) await service.admit(session, ANN, 'read')
}

describe('a node that lags behind', () => {
  it('accepts a fresh invitation, a new editor and a cancel, and refuses a demoted editor', async () => {
    await a.service.admitReader('s', ANN)
    for (const { service } of [b, c]) await service.admit('s', ANN, 'read')
    const wrong: string[] = []
    const attempt = async (what: string, work: Promise<unknown>, expected = 'ok'): Promise<void> => {
      const outcome = await work.then(() => 'ok', codeOf)
      if (outcome !== expected) wrong.push(`${what}: ${outcome}`)
    }
    for (let trial = 0; trial < TRIALS; trial++) {
      const user = caller(`user_${trial}`)
      const [near, far] = trial % 2 === 0 ? [b, c] : [c, b]
      near.log.hold()
      far.log.hold()
      const { token } = await a.service.invite('s', ANN, 'viewer', HOUR_MS)
      await attempt('a fresh invitation', near.service.join('s', user, token))
      await a.service.giveRole('s', ANN, user.user, 'editor')
      await attempt('a new editor', far.service.send(message('s', `sent_${trial}`), user))
      await near.sessions.with('s', (session) => catchUp(near, session))
      await near.service.cancel({ type: 'cancel', id: `x1_${trial}`, session: 's' }, user)
      near.log.hold()
      const { run } = await far.service.send(message('s', `next_${trial}`), user)
      const cancelled = near.service.cancel({ type: 'cancel', id: `x2_${trial}`, session: 's' }, user)
      await attempt('a cancel', cancelled)
      if ((await cancelled.catch(() => undefined))?.run !== run) wrong.push('the cancel of another run')
      near.log.hold()
      await a.service.giveRole('s', ANN, user.user, 'viewer')
      await attempt('a demoted editor', near.service.send(message('s', `late_${trial}`), user), 'forbidden')
      if ((await harness.log.last('s', `in.late_${trial}`)) > 0) wrong.push('a message of a demoted editor')
      await a.service.removeMember('s', ANN, user.user)
    }
    expect(wrong).toEqual([])
  })

  it('refuses every command of a demoted or removed member', async () => {
    const tool: Tool = { name: 'open', inputSchema: SCHEMA }
    const commands: Record<string, (session: string) => Promise<unknown>> = {
      send: (session) => b.service.send(message(session, 'm1'), caller('bob')),
      cancel: (session) => b.service.cancel({ type: 'cancel', id: 'x1', session }, caller('bob')),
      claim: (session) => b.service.claim({ type: 'tool.claim', id: 'x1', session, call: 'k' }, caller('bob')),
      result: (session) =>
        b.service.result({ type: 'tool.result', id: 'x1', session, call: 'k', output: 1 }, caller('bob')),
      decide: (session) =>
        b.service.decide({ type: 'tool.decide', id: 'x1', session, call: 'k', decision: 'approve' }, caller('bob')),
      attach: (session) => b.service.attach(session, caller('bob'), [tool]),
      inspect: (session) => b.service.admit(session, caller('bob'), 'manage'),
      rename: (session) => b.service.rename(session, caller('bob'), 'mine'),
      invite: (session) => b.service.invite(session, caller('bob'), 'owner', HOUR_MS),
      promote: (session) => b.service.giveRole(session, caller('bob'), 'bob', 'owner'),
    }
    const outcomes: Record<string, string> = {}
    for (const [name, command] of Object.entries(commands)) {
      for (const change of ['demoted', 'removed']) {
        const session = `${name}_${change}`
        await openSession(session, 'bob', 'owner')
        // Something to cancel, and a call to claim, answer and decide.
        const { run = '' } = await b.service.send(message(session, 'first'), caller('bob'))
        const call = { run, call: 'k', name: 'open', input: {}, where: 'client' as const, approval: name === 'decide' }
        await harness.log.append(session, 'tool.k', { type: 'tool.called', ...call, attempt: 1, until: 0, step: 0 }, 0)
        await b.service.attach(session, caller('bob'), [tool])
        b.log.hold()
        if (change === 'demoted') await a.service.giveRole(session, ANN, 'bob', 'viewer')
        else await a.service.removeMember(session, ANN, 'bob')
        const before = await harness.log.head(session)
        const outcome = await command(session).then(() => 'ok', codeOf)
        const isUnchanged = (await harness.log.head(session)) === before
        outcomes[session] = isUnchanged ? outcome : `${outcome}, and changed the session`
      }
    }
    expect(new Set(Object.values(outcomes)), JSON.stringify(outcomes)).toEqual(new Set(['forbidden']))
  })

  it('shows a removed member neither a job nor a response', async () => {
    const ports = { ...b, stores: { ...(others[0] as JetStreamStores), log: b.log } }
    const jobs = openJobTransport({ ...ports, retentionMs: HOUR_MS, busy: () => 0, waitMaxS: 60 })
    const job = jobs.routes.find(({ method }) => method === 'GET')
    const reads: Record<string, (id: string) => Promise<unknown>> = {
      job: async (id) => {
        const replyWith = vi.fn()
        await job?.handle({ request: requestOf('bob', id), replyWith } as unknown as HttpExchange)
        return replyWith.mock.calls[0]?.[0]
      },
      response: (id) => lookUpResponse(ports as unknown as OpenAiPorts, requestOf('bob', id), `resp_${id}`),
    }
    for (const [session, read] of Object.entries(reads)) {
      await openSession(session, 'bob', 'editor')
      const { run = '' } = await b.service.send(message(session, 'one'), caller('bob'))
      const id = formatJobId({ session, run })
      expect(await read(id)).toBeDefined()
      b.log.hold()
      await a.service.removeMember(session, ANN, 'bob')
      expect(await read(id).catch(codeOf)).toBe(session === 'job' ? 'job_not_found' : undefined)
    }
    jobs.close()
  })

  it('does not take a change for done that another node has just undone', async () => {
    await openSession('u', 'bob', 'editor')
    const state = () =>
      a.sessions.with('u', async (session) => {
        await catchUp(harness, session)
        return session.state
      })
    const members = async () => (await state()).members
    b.log.hold()
    await a.service.giveRole('u', ANN, 'bob', 'owner')
    await b.service.giveRole('u', ANN, 'bob', 'editor')
    expect((await members()).all.get('bob')?.role).toBe('editor')

    b.log.hold()
    const { invite } = await a.service.invite('u', ANN, 'editor', HOUR_MS)
    await b.service.revokeInvite('u', ANN, invite)
    expect([...(await members()).invites.keys()]).not.toContain(invite)

    const { token } = await a.service.invite('u', ANN, 'editor', HOUR_MS)
    await a.service.admit('u', ANN, 'read')
    b.log.hold()
    await a.service.join('u', caller('eve'), token)
    await b.service.removeMember('u', ANN, 'eve')
    expect([...(await members()).all.keys()]).not.toContain('eve')

    await a.service.rename('u', ANN, 'one')
    await b.service.admit('u', ANN, 'manage')
    b.log.hold()
    await a.service.rename('u', ANN, 'two')
    await b.service.rename('u', ANN, 'one')
    expect((await state()).title).toBe('one')
  })

  it('accepts a tool as soon as there is room for it, also without members', async () => {
    const stores = [harness.stores, ...others]
    const [one, two] = stores.map((each) => nodeOn(each, true)) as [Node, Node]
    const tool = (n: number, size: number): Tool => ({
      name: `tool_${n}`,
      description: 'd'.repeat(size),
      inputSchema: SCHEMA,
    })
    for (let n = 1; n <= 8; n += 1) await one.service.attach('x', ANN, [tool(n, 125_000)])
    const lease = await two.sessions.retain('x')
    await expect(two.service.attach('x', ANN, [tool(9, 125_000)])).rejects.toMatchObject({ code: 'too_large' })
    two.log.hold()
    await one.service.attach('x', ANN, [tool(1, 10)])
    await two.service.attach('x', ANN, [tool(9, 125_000)])
    lease.release()
    for (const { sessions } of [one, two]) sessions.close()
  })

  it('cancels the run that is active now, not the one that was', async () => {
    await openSession('v', 'bob', 'editor')
    const first = await b.service.send(message('v', 'one'), ANN)
    b.log.hold()
    await a.service.cancel({ type: 'cancel', id: 'x1', session: 'v' }, ANN)
    const second = await a.service.send(message('v', 'two'), ANN)
    const cancelled = await b.service.cancel({ type: 'cancel', id: 'x2', session: 'v' }, ANN)
    expect([first.run, cancelled.run]).toEqual([expect.not.stringMatching(second.run ?? ''), second.run])
  })

  it('costs a message no round trip more', async () => {
    await openSession('w', 'bob', 'editor')
    await b.service.send(message('w', 'one'), ANN)
    const order: string[] = []
    const [last, append] = [b.log.last, b.log.append]
    Object.assign(b.log, {
      last: async (...args: Parameters<typeof last>) => {
        order.push('ask')
        const seq = await last(...args)
        order.push('asked')
        return seq
      },
      append: (...args: Parameters<typeof append>) => {
        order.push('append')
        return append(...args)
      },
    })
    const offer = others[0]?.runs.offer.bind(others[0].runs)
    Object.assign(others[0]?.runs ?? {}, {
      offer: async (run: Parameters<NonNullable<typeof offer>>[0]) => {
        order.push('offer')
        await offer?.(run)
      },
    })
    await b.service.send(message('w', 'two'), ANN)
    // The offer is on its way while the log's leader is asked.
    expect(order.slice(0, 2).sort()).toEqual(['ask', 'offer'])
    expect(order.indexOf('append')).toBeGreaterThan(order.indexOf('asked'))
  })
})
