// Experiment: assigns users to variants. A user has the same variant on every node, at any time. When a weight changes,
// users move only to a variant whose weight grew, or away from one whose weight shrank.
import { createHash } from 'node:crypto'
import type { Assignment } from '@parley/protocol'
import type { ExperimentPlan } from './experiment-plan.ts'

interface Arm {
  readonly weight: number
  /** Shared by all users of the variant. */
  readonly assignment: Assignment
}

export class Experiment {
  /** Names of all variants. */
  readonly variants: readonly string[]
  readonly #arms: readonly Arm[]
  readonly #byUser: boolean

  /** @param byUser assign by user id; otherwise, if all clients are anonymous, by the id that each client keeps */
  constructor({ name, variants }: ExperimentPlan, byUser: boolean) {
    this.variants = variants.map((variant) => variant.name)
    this.#byUser = byUser
    this.#arms = variants.map(({ name: variant, weight, doors }) => {
      return { weight, assignment: { name, variant, ...(doors === undefined ? {} : { doors: [...doors] }) } }
    })
  }

  /** @param client the id that the client keeps, if any @returns undefined without an id to assign by */
  assign(user: string, client: string | undefined): Assignment | undefined {
    const subject = this.#byUser ? user : client
    return subject === undefined ? undefined : this.#choose(subject)
  }

  /**
   * Weighted rendezvous hashing: each variant gets a score for the subject, and the highest score wins. A score depends only
   * on its own variant's name and weight, so other users do not move when a weight changes.
   */
  #choose(subject: string): Assignment | undefined {
    let best: Assignment | undefined
    let highest = 0
    for (const { weight, assignment } of this.#arms) {
      const score = weight / -Math.log(uniform(assignment, subject))
      if (score <= highest) continue
      highest = score
      best = assignment
    }
    return best
  }
}

/** A pseudo-random number above 0 and below 1. */
function uniform({ name, variant }: Assignment, subject: string): number {
  const digest = createHash('sha256').update(`${name}\n${variant}\n${subject}`).digest()
  return (digest.readUIntBE(0, 6) + 0.5) / 2 ** 48
}
