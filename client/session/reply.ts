// Reply: the outcome of one sent message: whether the server accepted it, and the run that answers it. A steering
// message that its run did not take gets a run of its own, which the reply then follows.
import type { EntryFrame, Event, Ok, RunOutput } from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import { bindMethods } from '../bind-methods.ts'
import { ParleyError, refusal } from '../parley-error.ts'
import { RunText } from './run-text.ts'
import { isEnded, type RunView } from './run-view.ts'
import type { SessionView } from './session-view.ts'

export interface Accepted {
  /** The message's id. */
  readonly message: string
  /** The run that answers it. */
  readonly run: string
  /** The server already had the message: the client sent it again. */
  readonly duplicate: boolean
}

export interface ReplyEvent {
  readonly cursor: string
  /** Unix milliseconds. */
  readonly time: number
  readonly event: Event
}

/** Limit of unread events of `events()`. Merged outputs count as one. */
const MAX_EVENTS = 10_000

/** Receives each entry that changed the view, before the listeners are called. For code that builds on a session. */
export interface Watcher {
  entry?(frame: EntryFrame, view: SessionView, before: SessionView): void
  /** The view starts over from the beginning of the log; earlier entries arrive again. */
  reset?(): void
  /** The session is closed: no more entries follow. */
  ended?(error: ParleyError): void
}

/** The part of a session that a reply uses. */
interface WatchedSession {
  readonly state: SessionView
  /** @returns a function that removes the watcher */
  watch(watcher: Watcher): () => void
}

/**
 * The answer to one sent message, as text, as events, or as the final run. Each method may be called several times.
 * @example
 * const reply = session.send('Hello')
 * for await (const text of reply.text()) show(text)
 * const { status, usage } = await reply.result()
 */
export class Reply {
  /** The id of the command and of the message. */
  readonly command: string
  /** Resolves when the server has stored the message. Rejects with a ParleyError if the server refuses it. */
  readonly accepted: Promise<Accepted>
  readonly #session: WatchedSession

  /** Created by `session.send`. */
  constructor(session: WatchedSession, command: string, answer: Promise<Ok>) {
    bindMethods<Reply>(this, Reply.prototype)
    this.#session = session
    this.command = command
    this.accepted = answer.then((ok) => ({
      message: ok.message ?? command,
      run: ok.run ?? '',
      duplicate: ok.duplicate === true,
    }))
    // Callers of `text()` get the error there; an unhandled rejection must not end the process.
    this.accepted.catch(() => undefined)
  }

  /**
   * Yields the answer's text as it is generated; a slow reader gets larger pieces. Ends when the run is completed,
   * cancelled or superseded. For a steering message, yields the text that the run generates after the message.
   * @throws ParleyError with the run's error code if the run fails; RestartedError; the errors of `accepted`
   * @example
   * for await (const text of session.send('Hello').text()) process.stdout.write(text)
   */
  async *text(): AsyncGenerator<string, void, undefined> {
    const target = new Target(this.command)
    let text = new RunText()
    let followed: string | undefined
    const follow = (view: SessionView, frame?: EntryFrame, before?: SessionView): void => {
      const run = target.find(view)
      if (run === undefined) return
      if (followed !== run.id) {
        followed = run.id
        // A steered run's earlier text is not part of this answer. A run of the message's own is all answer.
        text = new RunText(frame?.event.type === 'message' && run.message !== this.command ? run.text : '')
        text.replaced(run)
      } else if (frame?.event.type === 'run.output' && before !== undefined && frame.event.run === run.id) {
        if (frame.event.kind === 'text' && before.runs.get(run.id) !== run) text.output(run, frame.event.text)
      } else if (frame !== undefined && 'run' in frame.event && frame.event.run === run.id) {
        text.replaced(run)
      }
      if (isEnded(run) && target.isAnswered(view)) text.ended(run)
    }
    yield* this.#stream(target, follow, () => text.take())
    const run = target.find(this.#session.state)
    if (run?.status === 'failed') {
      throw refusal(run.error ?? { code: 'internal', message: 'The run failed.' })
    }
  }

  /**
   * Yields every entry about this message and its run, from the call on. A slow reader gets merged outputs (`count`).
   * Entries repeat if the cursor was lost. Ends with the run.
   * @throws ParleyError too_many_pending, if more than 10,000 events are unread; the errors of `accepted`
   * @example
   * for await (const { event } of session.send('Hello').events()) {
   *   if (event.type === 'run.output' && event.kind === 'reasoning') console.log(event.text)
   * }
   */
  async *events(): AsyncGenerator<ReplyEvent, void, undefined> {
    const target = new Target(this.command)
    let waiting: ReplyEvent[] = []
    const follow = (view: SessionView, frame?: EntryFrame): void => {
      if (frame === undefined) return
      const { cursor, time, event } = frame
      const run = target.find(view)?.id
      const about = event.type === 'message' ? event.id === this.command : 'run' in event && event.run === run
      if (!about) return
      push(waiting, { cursor, time, event })
      if (waiting.length > MAX_EVENTS) {
        throw new ParleyError('too_many_pending', `More than ${MAX_EVENTS} events are unread.`)
      }
    }
    for await (const batch of this.#stream(target, follow, () => {
      const taken = waiting
      waiting = []
      return taken.length === 0 ? '' : taken
    })) {
      yield* batch
    }
  }

  /**
   * Resolves with the ended run, for every outcome.
   * @throws the errors of `accepted`; ParleyError closed, disconnected
   * @example
   * const { status, text, usage } = await session.send('Hello').result()
   */
  async result(): Promise<RunView> {
    const target = new Target(this.command)
    for await (const _ of this.#stream(target)) {
      // `take` returns nothing; the loop only waits for the end.
    }
    const run = target.find(this.#session.state)
    if (run === undefined) throw new ParleyError('run_not_found', 'The answer’s run is missing from the session.')
    return run
  }

  /**
   * Yields the results of `take` until the message is answered; '' means that there is nothing to yield. Each wait
   * creates one promise, so that no queue of wake-ups grows.
   */
  async *#stream<T>(
    target: Target,
    follow = (_view: SessionView, _frame?: EntryFrame, _before?: SessionView): void => undefined,
    take = (): T | '' => '',
  ): AsyncGenerator<T, void, undefined> {
    let wake = (): void => undefined
    let failure: unknown
    const fail = (error: unknown): void => {
      failure ??= error
      wake()
    }
    const look = (view: SessionView, frame?: EntryFrame, before?: SessionView): void => {
      try {
        follow(view, frame, before)
        wake()
      } catch (error) {
        fail(error)
      }
    }
    const unwatch = this.#session.watch({ entry: (frame, view, before) => look(view, frame, before), ended: fail })
    this.accepted.then(({ run }) => {
      target.accepted(run)
      look(this.#session.state)
    }, fail)
    try {
      look(this.#session.state)
      for (;;) {
        const ready = take()
        if (ready !== '') {
          yield ready
          continue
        }
        if (target.isAnswered(this.#session.state)) return
        if (failure !== undefined) throw failure
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      unwatch()
    }
  }
}

/** Finds the run that answers a message. */
class Target {
  readonly #command: string
  #accepted: string | undefined

  constructor(command: string) {
    this.#command = command
  }

  /** Stores the run that the server named in its reply. */
  accepted(run: string): void {
    this.#accepted = run
  }

  find(view: SessionView): RunView | undefined {
    const late = view.runs.get(lateSteerRun(this.#command))
    if (late !== undefined) return late
    const message = view.messages.findLast((candidate) => candidate.id === this.#command)
    const run = message?.run ?? this.#accepted
    return run === undefined ? undefined : view.runs.get(run)
  }

  isAnswered(view: SessionView): boolean {
    const run = this.find(view)
    if (run === undefined || !isEnded(run)) return false
    // A completed run that did not take the message is followed by the message's own run.
    const steers = run.message !== this.#command && run.message !== undefined
    return !steers || run.status !== 'completed' || run.steered.includes(this.#command)
  }
}

function push(waiting: ReplyEvent[], next: ReplyEvent): void {
  const last = waiting.at(-1)
  const a = last?.event
  const b = next.event
  if (a?.type === 'run.output' && b.type === 'run.output' && a.run === b.run && isOneText(a, b)) {
    const count = (a.count ?? 1) + (b.count ?? 1)
    waiting[waiting.length - 1] = {
      ...next,
      event: { ...a, text: a.text + b.text, count },
    }
  } else {
    waiting.push(next)
  }
}

function isOneText(a: RunOutput, b: RunOutput): boolean {
  if (a.kind === 'input') return b.kind === 'input' && a.call === b.call
  return a.kind === b.kind && (a.kind === 'text' || a.kind === 'reasoning')
}
