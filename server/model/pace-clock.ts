// PaceClock: one timer for every stream that waits. A sleeper waits at most once at a time; it is woken at its time
// or a little later, never before, and the clock stands still while nobody waits.

export interface Sleeper {
  /** By `performance.now()`; set by the clock. */
  due: number
  /** Its place in the clock's heap, -1 outside; set by the clock. */
  place: number
  wake(): void
}

export class PaceClock {
  /** A binary heap by `due`: a stream that is aborted leaves at once, from the middle. */
  readonly #heap: Sleeper[] = []
  #timer: NodeJS.Timeout | undefined
  #armed = Number.POSITIVE_INFINITY
  #soon: Sleeper[] = []

  /** Wakes it at `due`, in milliseconds of `performance.now()`. */
  at(due: number, sleeper: Sleeper): void {
    this.remove(sleeper)
    sleeper.due = due
    sleeper.place = this.#heap.length
    this.#heap.push(sleeper)
    this.#up(sleeper)
    this.#arm()
  }

  /** Wakes it in the event loop's next turn, so that others have theirs. */
  soon(sleeper: Sleeper): void {
    this.remove(sleeper)
    sleeper.place = SOON
    this.#soon.push(sleeper)
    if (this.#soon.length === 1) setImmediate(() => this.#wakeSoon())
  }

  remove(sleeper: Sleeper): void {
    const { place } = sleeper
    sleeper.place = NOWHERE
    if (place < 0) return
    const last = this.#heap.pop()
    if (last !== undefined && last !== sleeper) {
      last.place = place
      this.#heap[place] = last
      this.#up(last)
      this.#down(last)
    }
    if (this.#heap.length === 0) this.#disarm()
  }

  #wakeSoon(): void {
    const sleepers = this.#soon
    this.#soon = []
    for (const sleeper of sleepers) {
      if (sleeper.place !== SOON) continue
      sleeper.place = NOWHERE
      sleeper.wake()
    }
  }

  #tick(): void {
    this.#timer = undefined
    // Stays as if armed for now until all are woken, so that those who wait again set no timer each.
    this.#armed = Number.NEGATIVE_INFINITY
    const now = performance.now()
    try {
      for (let first = this.#heap[0]; first !== undefined && first.due <= now; first = this.#heap[0]) {
        this.remove(first)
        first.wake()
      }
    } finally {
      this.#armed = Number.POSITIVE_INFINITY
      this.#arm()
    }
  }

  #arm(): void {
    const first = this.#heap[0]
    if (first === undefined || first.due >= this.#armed) return
    clearTimeout(this.#timer)
    this.#armed = first.due
    // Node's timers have a resolution of 1 ms; a shorter wait would be rounded so that it fires too early.
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, Math.ceil(first.due - performance.now())))
  }

  #disarm(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#armed = Number.POSITIVE_INFINITY
  }

  #up(sleeper: Sleeper): void {
    while (sleeper.place > 0) {
      const parent = this.#heap[(sleeper.place - 1) >> 1] as Sleeper
      if (parent.due <= sleeper.due) return
      this.#swap(parent, sleeper)
    }
  }

  #down(sleeper: Sleeper): void {
    for (;;) {
      const left = this.#heap[2 * sleeper.place + 1]
      const right = this.#heap[2 * sleeper.place + 2]
      const least = right !== undefined && left !== undefined && right.due < left.due ? right : left
      if (least === undefined || least.due >= sleeper.due) return
      this.#swap(sleeper, least)
    }
  }

  /** The child takes the parent's place, and the other way round. */
  #swap(parent: Sleeper, child: Sleeper): void {
    const { place } = parent
    parent.place = child.place
    child.place = place
    this.#heap[parent.place] = parent
    this.#heap[child.place] = child
  }
}

const NOWHERE = -1
const SOON = -2
