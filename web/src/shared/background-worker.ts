// BackgroundWorker: work that may take long, done in a worker, one job after the other. The worker starts with the first
// job. A job that takes longer than DEADLINE is given up: the worker is replaced, and does the other jobs.

/** Milliseconds for one job, once the worker runs. */
export const DEADLINE = 10_000

/** @param reply undefined if the job failed, or took too long */
type Done<Reply> = (reply: Reply | undefined) => void

interface Job<Request, Reply> {
  readonly request: Request
  readonly done: Done<Reply>
}

interface Numbered<Message> {
  readonly id: number
  readonly message: Message | undefined
}

/** In the worker: answers each request. @param answer may throw: then the job has failed */
export function serve<Request, Reply>(answer: (request: Request) => Reply): void {
  self.onmessage = ({ data: { id, message } }: MessageEvent<{ readonly id: number; readonly message: Request }>) => {
    self.postMessage({ id, message: answered(answer, message) } satisfies Numbered<Reply>)
  }
  self.postMessage('ready')
}

function answered<Request, Reply>(answer: (request: Request) => Reply, request: Request): Reply | undefined {
  try {
    return answer(request)
  } catch {
    // Such as a text that is nested too deeply. The page shows it without the result.
    return undefined
  }
}

export class BackgroundWorker<Request, Reply> {
  readonly #start: () => Worker
  #worker: Worker | undefined
  #ready = false
  #timer: ReturnType<typeof setTimeout> | undefined
  /** The worker does the first. */
  readonly #jobs = new Map<number, Job<Request, Reply>>()
  #ids = 0

  constructor(start: () => Worker) {
    this.#start = start
  }

  run(request: Request, done: Done<Reply>): void {
    this.#ids += 1
    this.#jobs.set(this.#ids, { request, done })
    if (this.#worker === undefined) this.#open()
    else this.#worker.postMessage({ id: this.#ids, message: request } satisfies Numbered<Request>)
    if (this.#jobs.size === 1) this.#watch()
  }

  #open(): void {
    const worker = this.#start()
    this.#worker = worker
    this.#ready = false
    worker.onmessage = ({ data }: MessageEvent<Numbered<Reply> | 'ready'>) => {
      if (data === 'ready') this.#ready = true
      else this.#finish(data.id, data.message)
      this.#watch()
    }
    // The script could not be loaded. The next job tries again.
    worker.onerror = () => {
      this.#close()
      for (const id of [...this.#jobs.keys()]) this.#finish(id, undefined)
    }
    for (const [id, { request }] of this.#jobs) worker.postMessage({ id, message: request } satisfies Numbered<Request>)
  }

  #close(): void {
    this.#worker?.terminate()
    this.#worker = undefined
    clearTimeout(this.#timer)
  }

  #finish(id: number, reply: Reply | undefined): void {
    const job = this.#jobs.get(id)
    this.#jobs.delete(id)
    job?.done(reply)
  }

  /** Starts the time of the first job. */
  #watch(): void {
    clearTimeout(this.#timer)
    const [first] = this.#jobs.keys()
    if (first === undefined || !this.#ready) return
    this.#timer = setTimeout(() => {
      this.#close()
      this.#finish(first, undefined)
      if (this.#jobs.size > 0 && this.#worker === undefined) this.#open()
    }, DEADLINE)
  }
}
