// Tests what a reply yields while the connection and the run are disturbed.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ParleyClient, type Reply, type Session } from '../index.ts'
import { ended, message, type Peer, ScriptedServer, says, started, USAGE } from '../test/scripted-server.ts'
import { until } from '../test/until.ts'

let server: ScriptedServer
let client: ParleyClient
let session: Session
let peer: Peer

beforeEach(async () => {
  server = await ScriptedServer.start()
  client = new ParleyClient({ url: server.url, reconnect: { baseMs: 5, maxMs: 20 } })
  session = client.session('s1')
  peer = await server.accept()
  await peer.welcome()
  await peer.attach()
  await until(session, (view) => view.status === 'live')
})
afterEach(async () => {
  await client.close()
  await server.close()
})

/** Accepts the message of a reply: entry 1 is the message, for run r1. */
async function take(reply: Reply): Promise<void> {
  const { id } = await peer.expect('send')
  peer.entries('s1', 1, [message(id, 'r1')])
  peer.send({ type: 'ok', id, message: id, run: 'r1' })
  await reply.accepted
}

async function all(texts: AsyncIterable<string>): Promise<string> {
  let whole = ''
  for await (const text of texts) whole += text
  return whole
}

describe('text of a reply', () => {
  it('yields the text as it arrives', async () => {
    const reply = session.send('hi')
    const reading = reply.text()
    await take(reply)
    peer.entries('s1', 2, [started('r1', reply.command), says('r1', 0, 'thinking', 'reasoning'), says('r1', 1, 'Hel')])
    expect(await reading.next()).toEqual({ done: false, value: 'Hel' })
    peer.entries('s1', 5, [says('r1', 2, 'lo'), ended('r1', 3)])
    expect(await all(reading)).toBe('lo')
    expect(await reply.result()).toMatchObject({ status: 'completed', text: 'Hello' })
  })

  it('can be read late, and by several readers', async () => {
    const reply = session.send('hi')
    await take(reply)
    peer.entries('s1', 2, [started('r1', reply.command), says('r1', 0, 'a'), says('r1', 1, 'b'), ended('r1', 2)])
    await reply.result()
    expect(await Promise.all([all(reply.text()), all(reply.text())])).toEqual(['ab', 'ab'])
  })

  it('continues after a drop, a reset and a snapshot without a difference', async () => {
    const reply = session.send('hi')
    const whole = all(reply.text())
    await take(reply)
    peer.entries('s1', 2, [started('r1', reply.command), says('r1', 0, 'one '), says('r1', 1, 'two ')])
    await until(session, (view) => view.runs.get('r1')?.next === 2)
    peer.drop()
    peer = await server.accept()
    await peer.welcome()
    const output = [{ type: 'text' as const, text: 'one two three ', index: 0, lengths: [4, 4, 6] }]
    await peer.attach(
      [message(reply.command, 'r1'), { type: 'run.snapshot', run: 'r1', next: 3, output }, says('r1', 3, 'four ')],
      { reset: true, first: 50 },
    )
    peer.entries('s1', 60, [says('r1', 4, 'five'), ended('r1', 5)])
    expect(await whole).toBe('one two three four five')
  })

  it('continues through a restart that generates the same text', async () => {
    const reply = session.send('hi')
    const whole = all(reply.text())
    await take(reply)
    peer.entries('s1', 2, [
      started('r1', reply.command),
      says('r1', 0, 'one two'),
      started('r1', reply.command, { epoch: 2, mode: 'restart', next: 1 }),
      says('r1', 1, 'one '),
      says('r1', 2, 'two three'),
      ended('r1', 3),
    ])
    expect(await whole).toBe('one two three')
  })

  it('ends with a RestartedError if a restart generates a different text', async () => {
    const reply = session.send('hi')
    const whole = all(reply.text())
    await take(reply)
    peer.entries('s1', 2, [
      started('r1', reply.command),
      says('r1', 0, 'one two'),
      started('r1', reply.command, { epoch: 2, mode: 'restart', next: 1 }),
      says('r1', 1, 'another'),
    ])
    await expect(whole).rejects.toMatchObject({ name: 'RestartedError', run: 'r1' })
    peer.entries('s1', 6, [ended('r1', 2)])
    expect((await reply.result()).text).toBe('another')
  })

  it('ends without an error if the run is cancelled', async () => {
    const reply = session.send('hi')
    const whole = all(reply.text())
    await take(reply)
    peer.entries('s1', 2, [started('r1', reply.command), says('r1', 0, 'one'), ended('r1', 1, 'cancelled')])
    expect(await whole).toBe('one')
    expect((await reply.result()).status).toBe('cancelled')
  })

  it('throws the code of a failed run after its text', async () => {
    const reply = session.send('hi')
    await take(reply)
    const error = { code: 'provider_timeout' as const, message: 'silence', retryable: true, retryAfterMs: 5 }
    peer.entries('s1', 2, [
      started('r1', reply.command),
      says('r1', 0, 'one'),
      { type: 'run.ended', run: 'r1', reason: 'failed', error, usage: USAGE, next: 1 },
    ])
    let said = ''
    const reading = async (): Promise<void> => {
      for await (const text of reply.text()) said += text
    }
    await expect(reading()).rejects.toMatchObject(error)
    expect(said).toBe('one')
    expect((await reply.result()).error).toEqual(error)
  })

  it('rejects if the client is closed during the answer', async () => {
    const reply = session.send('hi')
    const whole = all(reply.text())
    await take(reply)
    await client.close()
    await expect(whole).rejects.toMatchObject({ code: 'closed' })
  })

  it('of a steered run is the text from the message on', async () => {
    peer.entries('s1', 1, [message('m0', 'r1'), started('r1', 'm0'), says('r1', 0, 'before ')])
    await until(session, (view) => view.runs.get('r1')?.next === 1)
    const reply = session.send('more like this', { policy: 'steer' })
    const whole = all(reply.text())
    const { id } = await peer.expect('send')
    peer.entries('s1', 4, [message(id, 'r1', 'more like this', 'steer'), says('r1', 1, 'after')])
    peer.send({ type: 'ok', id, message: id, run: 'r1' })
    const output = [
      { type: 'text' as const, text: 'before after', index: 0, lengths: [7, 5] },
      { type: 'message' as const, message: id },
    ]
    peer.entries('s1', 6, [{ type: 'run.snapshot', run: 'r1', next: 2, output }, says('r1', 2, ' it'), ended('r1', 3)])
    expect(await whole).toBe('after it')
  })

  it('has an empty line between the text before and after a tool call', async () => {
    const reply = session.send('hi')
    const whole = all(reply.text())
    await take(reply)
    const call = {
      type: 'tool.called' as const,
      run: 'r1',
      call: 'c1',
      name: 'clock',
      input: {},
      where: 'server' as const,
    }
    const called = { ...call, approval: false, attempt: 1, until: 0, step: 0 }
    peer.entries('s1', 2, [
      started('r1', reply.command),
      says('r1', 0, 'Let me see.'),
      called,
      says('r1', 1, 'It is'),
      says('r1', 2, ' noon.'),
      ended('r1', 3),
    ])
    expect(await whole).toBe('Let me see.\n\nIt is noon.')
    expect((await reply.result()).text).toBe('Let me see.\n\nIt is noon.')
  })

  it('of a steered run does not begin with the empty line that separates it', async () => {
    peer.entries('s1', 1, [message('m0', 'r1'), started('r1', 'm0'), says('r1', 0, 'before')])
    await until(session, (view) => view.runs.get('r1')?.next === 1)
    const reply = session.send('more', { policy: 'steer' })
    const whole = all(reply.text())
    const { id } = await peer.expect('send')
    peer.entries('s1', 4, [message(id, 'r1', 'more', 'steer')])
    peer.send({ type: 'ok', id, message: id, run: 'r1' })
    const output = [
      { type: 'text' as const, text: 'before', index: 0, lengths: [6] },
      { type: 'message' as const, message: id },
    ]
    const taken = { type: 'run.snapshot' as const, run: 'r1', next: 1, output }
    peer.entries('s1', 5, [taken, says('r1', 1, 'after'), ended('r1', 2)])
    expect(await whole).toBe('after')
    expect((await reply.result()).text).toBe('before\n\nafter')
  })

  it('follows a steering message that its run did not take to the run of its own', async () => {
    peer.entries('s1', 1, [message('m0', 'r1'), started('r1', 'm0'), says('r1', 0, 'before ')])
    await until(session, (view) => view.runs.get('r1')?.next === 1)
    const reply = session.send('more', { policy: 'steer' })
    const whole = all(reply.text())
    const { id } = await peer.expect('send')
    const late = `steer_${id}`
    peer.entries('s1', 4, [ended('r1', 1), message(id, 'r1', 'more', 'steer')])
    peer.send({ type: 'ok', id, message: id, run: late })
    peer.entries('s1', 6, [started(late, id), says(late, 0, 'own'), ended(late, 1)])
    expect(await whole).toBe('own')
    expect((await reply.result()).id).toBe(late)
  })
})

describe('events of a reply', () => {
  it('include everything about the message and its run', async () => {
    const reply = session.send('hi')
    const types: string[] = []
    const reading = (async () => {
      for await (const { event } of reply.events()) types.push(event.type)
    })()
    await take(reply)
    peer.entries('s1', 2, [
      started('r1', reply.command),
      message('other', 'r2'),
      says('r1', 0, 'one'),
      ended('r1', 1),
      started('r2', 'other'),
    ])
    await reading
    expect(types).toEqual(['message', 'run.started', 'run.output', 'run.ended'])
  })
})
