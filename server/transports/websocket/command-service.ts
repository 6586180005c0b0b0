// CommandService: runs the session commands of one connection, and owns the readers that they start. Commands of one session
// run in order of arrival; commands of different sessions run concurrently.
import {
  type Attach,
  type Command,
  type ErrorCode,
  LIMITS,
  type Presence as PresenceFrame,
  ReplyError,
  type ServerFrame,
} from '@parley/protocol'
import type { Logger } from 'pino'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import type { Presence, PresenceWatcher } from '../../presence/presence.ts'
import type { Caller, Receipt } from '../../session/commands/caller.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import { CursorLost, StorageError } from '../../store/ports/errors.ts'
import { SmallMap, type SmallMapField } from '../../store/small-map.ts'
import type { Hub } from '../feed/hub.ts'
import { Reader } from '../feed/reader.ts'
import type { ReaderClient } from '../feed/reader-ports.ts'
import type { Outbox } from './outbox.ts'
import { SessionCommandQueue } from './session-command-queue.ts'

export interface CommandServicePorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly hub: Hub
  readonly presence: Presence
  readonly logger: Logger
  readonly metrics?: TransportMetrics | undefined
  readonly limits: { readonly attachedSessions: number }
}

export interface CommandServiceEvents {
  /** A session can no longer be read because the log is broken. */
  readFailed(): void
}

type SessionCommand = Exclude<Command, { type: 'attach' | 'detach' }>

const bySession = new SmallMap<string, Reader>((reader) => reader.session)

export class CommandService implements ReaderClient, PresenceWatcher {
  /** The client's name for itself. */
  readonly device: string | undefined
  readonly #ports: CommandServicePorts
  readonly #events: CommandServiceEvents
  readonly #outbox: Outbox
  #caller: Caller
  #readers: SmallMapField<string, Reader>
  readonly #queue = new SessionCommandQueue()
  /** Number of attach commands in progress that have no reader yet. */
  #attaching = 0
  #draining = false
  #closed = false

  constructor(
    ports: CommandServicePorts,
    events: CommandServiceEvents,
    outbox: Outbox,
    caller: Caller,
    device: string | undefined,
  ) {
    this.#ports = ports
    this.#events = events
    this.#outbox = outbox
    this.#caller = caller
    this.device = device
  }

  get door(): 'websocket' {
    return 'websocket'
  }

  get variant(): string | undefined {
    return this.#caller.variant
  }

  get user(): string {
    return this.#caller.user
  }

  get name(): string | undefined {
    return this.#caller.name
  }

  get connection(): string {
    return this.#caller.connection
  }

  notify(frame: PresenceFrame): void {
    this.#outbox.writeShared(frame)
  }

  admit(session: string): Promise<string> {
    return this.#ports.service.admit(session, this.#caller, 'read')
  }

  /** Milliseconds for which the slowest reader has been behind. */
  behindMs(now: number): number {
    let longest = 0
    for (const { behindSince } of bySession.all(this.#readers)) {
      if (behindSince !== undefined) longest = Math.max(longest, now - behindSince)
    }
    return longest
  }

  readFailed(session: string, error: unknown): void {
    if (error instanceof ReplyError) {
      const reader = this.#reader(session)
      if (reader !== undefined) this.#removeReader(session, reader)
      this.#outbox.writeError(error, undefined, session)
      return
    }
    const { connection } = this
    this.#ports.logger.error({ err: error, session, connection }, 'failed to read a session')
    this.#events.readFailed()
  }

  /** Queues the command and answers it. @param done called once, when it has been answered */
  execute(command: Command, done: () => void): void {
    this.#queue.run(command.session, async () => {
      try {
        if (command.type === 'attach') await this.#attach(command, done)
        else if (command.type === 'detach') this.#detach(command.id, command.session, done)
        else this.#acknowledge(command, await this.#receipt(command), done)
      } catch (error) {
        this.#refuse(command, error)
        done()
      }
    })
  }

  /** Has no id, and is answered only if it is refused. */
  showPresence(session: string, state: Record<string, unknown>): void {
    if (JSON.stringify(state).length > LIMITS.presenceBytes) this.#outbox.writeError(new ReplyError('too_large'))
    else if (!this.#ports.presence.show(session, this.#caller.connection, state)) {
      this.#outbox.writeError(new ReplyError('not_attached'))
    }
  }

  /** Sends `live` for all live sessions, after an outage of the log. */
  sendLive(): void {
    for (const reader of bySession.all(this.#readers)) reader.sendLive()
  }

  /** Applies the role and the limits of a renewed access token. */
  renew({ role, limits, credentials }: Pick<Caller, 'role' | 'limits' | 'credentials'>): void {
    const { limits: _, credentials: __, ...rest } = this.#caller
    this.#caller = {
      ...rest,
      role,
      ...(limits === undefined ? {} : { limits }),
      ...(credentials === undefined ? {} : { credentials }),
    }
  }

  /** Refuses new messages from now on; other commands still run. */
  drain(): void {
    this.#draining = true
  }

  close(): void {
    this.#closed = true
    const readers = [...bySession.all(this.#readers)]
    this.#readers = undefined
    for (const reader of readers) {
      reader.close()
      this.#leaveSession(reader.session)
    }
  }

  async #receipt(command: SessionCommand): Promise<Receipt> {
    const { service } = this.#ports
    switch (command.type) {
      case 'send':
        if (this.#draining) throw new ReplyError('going_away')
        return service.send(command, this.#caller)
      case 'cancel':
        return service.cancel(command, this.#caller)
      case 'tool.claim':
        return service.claim(command, this.#caller)
      case 'tool.result':
        return service.result(command, this.#caller)
      case 'tool.decide':
        return service.decide(command, this.#caller)
      case 'tool.answer':
        return service.answer(command, this.#caller)
    }
  }

  async #attach(command: Attach, done: () => void): Promise<void> {
    const { service, presence, limits } = this.#ports
    const { session } = command
    if (this.#closed) return done()
    const attached = bySession.size(this.#readers) + this.#attaching
    const isAttached = this.#reader(session) !== undefined
    if (!isAttached && attached >= limits.attachedSessions) throw new ReplyError('too_many_sessions')
    this.#attaching += 1
    try {
      await service.attach(session, this.#caller, command.tools ?? [])
    } finally {
      this.#attaching -= 1
    }
    if (this.#closed) {
      // `close` ran before this attach had a reader.
      service.detach(session, this.#caller)
      return done()
    }
    this.#reader(session)?.close()
    const { id, after, resume, merge = false } = command
    const reader = new Reader(this.#ports, this.#outbox, this, { session, id, after, resume, merge })
    this.#readers = bySession.with(this.#readers, reader)
    presence.enter(session, this)
    // Not awaited, so that a long replay does not block the following commands.
    reader
      .attach()
      .catch((error: unknown) => {
        this.#removeReader(session, reader)
        this.#refuse(command, error)
      })
      .finally(done)
  }

  #detach(id: string, session: string, done: () => void): void {
    const reader = this.#reader(session)
    if (reader === undefined) throw new ReplyError('not_attached')
    this.#removeReader(session, reader)
    this.#outbox.write({ type: 'ok', id, session })
    done()
  }

  #removeReader(session: string, reader: Reader): void {
    reader.close()
    if (this.#reader(session) !== reader) return
    this.#readers = bySession.without(this.#readers, session)
    this.#leaveSession(session)
  }

  #leaveSession(session: string): void {
    this.#ports.presence.leave(session, this.#caller.connection)
    // Queued after the connection's earlier commands for the session; skipped if it has attached again meanwhile.
    this.#queue.run(session, async () => {
      if (this.#reader(session) === undefined) this.#ports.service.detach(session, this.#caller)
    })
  }

  #acknowledge(command: SessionCommand, receipt: Receipt, done: () => void): void {
    const { cursor, message, run, until, duplicate } = receipt
    const ok: ServerFrame = {
      type: 'ok',
      id: command.id,
      session: command.session,
      cursor,
      ...(message === undefined ? {} : { message }),
      ...(run === undefined ? {} : { run }),
      ...(until === undefined ? {} : { until }),
      ...(duplicate === undefined ? {} : { duplicate }),
    }
    const answer = (): void => {
      this.#outbox.write(ok)
      done()
    }
    const reader = this.#reader(command.session)
    // On this connection, no output of an ended run may follow the `ok`.
    if (receipt.final === true && reader !== undefined) reader.whenReached(receipt.seq, answer)
    else answer()
  }

  #refuse(command: Command, error: unknown): void {
    this.#outbox.writeError(this.#asReplyError(error, command), command.id)
  }

  #asReplyError(error: unknown, command: Command): ReplyError {
    if (error instanceof ReplyError) return error
    const code = codeOf(error)
    const { connection } = this.#caller
    const level = code === 'internal' ? 'error' : 'warn'
    const fields = { err: error, command: command.type, session: command.session, connection }
    this.#ports.logger[level](fields, 'command failed')
    return new ReplyError(code)
  }

  #reader(session: string): Reader | undefined {
    return bySession.get(this.#readers, session)
  }
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof StorageError) return error.reason === 'full' ? 'storage_full' : 'unavailable'
  return error instanceof CursorLost ? 'unavailable' : 'internal'
}
