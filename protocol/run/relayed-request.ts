// RelayedRequest: a model call whose response a relay keeps, so that the next driver of the run can continue it. For drivers only.
import { z } from 'zod'
import { Id } from '../id.ts'

const Count = z.int().min(0)

export const RelayedRequest = z.object({
  /** The key of the response. */
  stream: Id,
  /** The number of the run's model call, from 0. */
  step: Count,
  /** The index of the call's first output. */
  next: Count,
  model: z.string(),
})
export type RelayedRequest = z.infer<typeof RelayedRequest>

/** The driver sends a further request to the model. It is stored before the request is sent. */
export const RunRequested = z.object({ type: z.literal('run.requested'), run: Id, ...RelayedRequest.shape })
export type RunRequested = z.infer<typeof RunRequested>
