// Reply: what becomes of one message that was sent: whether the server took it, and the run that answers it. It
// follows the message to its run, also when a steering message came too late and gets a run of its own.
import type { EntryFrame, Event, Ok } from '@parley/protocol'
import { ParleyError } from '../parley-error.ts'
import { RunText } from './run-text.ts'
import { isEnded, type RunView } from './run-view.ts'
import { lateSteerRun, type SessionView } from './session-view.ts'

export interface Accepted {
  /** The message's id. */
  readonly message: string
  /** The run that answers it. */
  readonly run: string
  /** The server had the message before: this was a retry. */
  readonly duplicate: boolean
}

export interface ReplyEvent {
  readonly cursor: string
  /** Unix milliseconds. */
  readonly time: number
  readonly event: Event
}

/** Events that wait for a slow reader of `events()`; neighbouring outputs count as one. */
const MAX_EVENTS = 10_000

/** Sees each entry that changed the view, before the listeners are told. For what is built on the session. */
export interface Watcher {
  entry(frame: EntryFrame, view: SessionView, before: SessionView): void
  /** The view begins from the beginning; what was seen comes again. */
  reset(): void
  /** Nothing more will come. */
  ended(error: ParleyError): void
}

/** What a reply needs of its session. */
interface WatchedSession {
  readonly state: SessionView
  /** @returns a function that ends it */
  watch(watcher: Watcher): () => void
}

export class Reply {
  /** The command's id, which is also the message's. */
  readonly command: string
  /** Rejects with a ParleyError when the server refused the message. */
  readonly accepted: Promise<Accepted>
  readonly #session: WatchedSession

  /** Made by `session.send`. */
  constructor(session: WatchedSession, command: string, answer: Promise<Ok>) {
    this.#session = session
    this.command = command
    this.accepted = answer.then((ok) => ({
      message: ok.message ?? command,
      run: ok.run ?? '',
      duplicate: ok.duplicate === true,
    }))
    // Who only reads `text()` is told there; an unread rejection must not end the process.
    this.accepted.catch(() => undefined)
  }

  /**
   * The answer's text as it comes; what waits for a slow reader is joined. Ends when the run has been completed,
   * cancelled or superseded. Of a run that was steered: what it says from the message on.
   * @throws ParleyError with the run's own error code when it failed; RestartedError; what `accepted` throws
   */
  async *text(): AsyncGenerator<string, void, undefined> {
    const target = new Target(this.command)
    let text = new RunText()
    let of: string | undefined
    const follow = (view: SessionView, frame?: EntryFrame, before?: SessionView): void => {
      const run = target.find(view)
      if (run === undefined) return
      if (of !== run.id) {
        of = run.id
        // Steered: what it had said before is no answer. Its own run: all of it is.
        text = new RunText(frame?.event.type === 'message' && run.message !== this.command ? run.text : '')
        text.replaced(run)
      } else if (frame?.event.type === 'run.output' && before !== undefined && frame.event.run === run.id) {
        if (frame.event.kind === 'text' && before.runs.get(run.id) !== run) text.output(run, frame.event.text)
      } else if (frame !== undefined && 'run' in frame.event && frame.event.run === run.id) {
        text.replaced(run)
      }
      if (isEnded(run) && target.isAnswered(view)) text.ended(run)
    }
    yield* this.#stream(
      target,
      (view, frame, before) => follow(view, frame, before),
      () => text.take(),
    )
    const run = target.find(this.#session.state)
    if (run?.status === 'failed') {
      throw new ParleyError(run.error?.code ?? 'internal', run.error?.message ?? 'The run failed.')
    }
  }

  /**
   * Every entry about this message and its run, from the moment of the call. Neighbouring outputs are joined for a
   * slow reader (`count`). After a lost cursor entries may come again. Ends with the run.
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
      if (waiting.length > MAX_EVENTS) throw new ParleyError('too_many_pending', 'The events were not read in time.')
    }
    for await (const batch of this.#stream(target, follow, () => {
      const taken = waiting
      waiting = []
      return taken.length === 0 ? '' : taken
    })) {
      yield* batch
    }
  }

  /** The run when it has ended, however it did. @throws what `accepted` throws; ParleyError closed, disconnected */
  async result(): Promise<RunView> {
    const target = new Target(this.command)
    for await (const _ of this.#stream(
      target,
      () => undefined,
      () => '',
    )) {
      // Nothing is taken: only the end counts.
    }
    const run = target.find(this.#session.state)
    if (run === undefined) throw new ParleyError('run_not_found', 'The run is not in the session.')
    return run
  }

  /**
   * Yields what `take` has, until the message is answered. `take` gives '' when there is nothing.
   * The wake-up is one promise, remade for each wait: no queue grows behind it.
   */
  async *#stream<T>(
    target: Target,
    follow: (view: SessionView, frame?: EntryFrame, before?: SessionView) => void,
    take: () => T | '',
  ): AsyncGenerator<T, void, undefined> {
    let wake = (): void => undefined
    let failure: unknown
    const attempt = (step: () => void): void => {
      try {
        step()
      } catch (error) {
        failure ??= error
      }
      wake()
    }
    const unwatch = this.#session.watch({
      entry: (frame, view, before) => attempt(() => follow(view, frame, before)),
      reset: () => undefined,
      ended: (error) =>
        attempt(() => {
          throw error
        }),
    })
    this.accepted.then(
      ({ run }) =>
        attempt(() => {
          target.accepted(run)
          follow(this.#session.state)
        }),
      (error: unknown) =>
        attempt(() => {
          throw error
        }),
    )
    try {
      attempt(() => follow(this.#session.state))
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

/** Which run answers a message. Looked up again only when the view says something about it. */
class Target {
  readonly #command: string
  #accepted: string | undefined

  constructor(command: string) {
    this.#command = command
  }

  /** What the server said on taking it. */
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
    // A run that was completed without having taken the message: the message's own run follows.
    const steers = run.message !== this.#command && run.message !== undefined
    return !steers || run.status !== 'completed' || run.steered.includes(this.#command)
  }
}

function push(waiting: ReplyEvent[], next: ReplyEvent): void {
  const last = waiting.at(-1)
  const a = last?.event
  const b = next.event
  if (a?.type === 'run.output' && b.type === 'run.output' && a.run === b.run && a.kind === b.kind) {
    const count = (a.count ?? 1) + (b.count ?? 1)
    waiting[waiting.length - 1] = {
      ...next,
      event: { ...a, text: a.text + b.text, count },
    }
  } else {
    waiting.push(next)
  }
}
