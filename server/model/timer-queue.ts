// TimerQueue: one timer for all waiting streams of the demo model. It wakes a sleeper at its time or a little later, never
// earlier. A sleeper waits for one time only, and the timer is off while nothing waits.

export interface Sleeper {
  /** In milliseconds of `performance.now()`. The clock sets it. */
  due: number
  /** Index in the clock's heap, negative outside it. The clock sets it. */
  index: number
  wake(): void
}

export class TimerQueue {
  /** A binary heap by `due`, so that an aborted stream can be removed from the middle. */
  readonly #heap: Sleeper[] = []
  #timer: NodeJS.Timeout | undefined
  #armed = Number.POSITIVE_INFINITY
  #soon: Sleeper[] = []

  /** Wakes the sleeper at `due`, in milliseconds of `performance.now()`. */
  at(due: number, sleeper: Sleeper): void {
    this.remove(sleeper)
    sleeper.due = due
    sleeper.index = this.#heap.length
    this.#heap.push(sleeper)
    this.#up(sleeper)
    this.#arm()
  }

  /** Wakes the sleeper in the next turn of the event loop. */
  soon(sleeper: Sleeper): void {
    this.remove(sleeper)
    sleeper.index = SOON
    this.#soon.push(sleeper)
    if (this.#soon.length === 1) setImmediate(() => this.#wakeSoon())
  }

  remove(sleeper: Sleeper): void {
    const { index } = sleeper
    sleeper.index = ABSENT
    if (index < 0) return
    const last = this.#heap.pop()
    if (last !== undefined && last !== sleeper) {
      last.index = index
      this.#heap[index] = last
      this.#up(last)
      this.#down(last)
    }
    if (this.#heap.length === 0) this.#disarm()
  }

  #wakeSoon(): void {
    const sleepers = this.#soon
    this.#soon = []
    for (const sleeper of sleepers) {
      if (sleeper.index !== SOON) continue
      sleeper.index = ABSENT
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
    // Node's timers have a resolution of 1 ms; a shorter wait would fire too early.
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, Math.ceil(first.due - performance.now())))
  }

  #disarm(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#armed = Number.POSITIVE_INFINITY
  }

  #up(sleeper: Sleeper): void {
    while (sleeper.index > 0) {
      const parent = this.#heap[(sleeper.index - 1) >> 1] as Sleeper
      if (parent.due <= sleeper.due) return
      this.#swap(parent, sleeper)
    }
  }

  #down(sleeper: Sleeper): void {
    for (;;) {
      const left = this.#heap[2 * sleeper.index + 1]
      const right = this.#heap[2 * sleeper.index + 2]
      const least = right !== undefined && left !== undefined && right.due < left.due ? right : left
      if (least === undefined || least.due >= sleeper.due) return
      this.#swap(sleeper, least)
    }
  }

  #swap(parent: Sleeper, child: Sleeper): void {
    const { index } = parent
    parent.index = child.index
    child.index = index
    this.#heap[parent.index] = parent
    this.#heap[child.index] = child
  }
}

const ABSENT = -1
const SOON = -2
