// Experiment: who takes part in which variant. The same user is in the same variant on every node, at any time, and when a
// weight changes nobody moves but towards a variant that gained, or away from one that lost.
import { createHash } from 'node:crypto'
import type { Assignment } from '@parley/protocol'
import type { ExperimentPlan } from './experiment-plan.ts'

interface Arm {
  readonly weight: number
  /** The same object for all who are in it. */
  readonly assignment: Assignment
}

export class Experiment {
  /** The only values that a variant has. */
  readonly variants: readonly string[]
  readonly #arms: readonly Arm[]
  readonly #byUser: boolean

  /** @param byUser users are told apart; else, where all are anonymous, clients by the id that they keep */
  constructor({ name, variants }: ExperimentPlan, byUser: boolean) {
    this.variants = variants.map((variant) => variant.name)
    this.#byUser = byUser
    this.#arms = variants.map(({ name: variant, weight, doors }) => {
      return { weight, assignment: { name, variant, ...(doors === undefined ? {} : { doors: [...doors] }) } }
    })
  }

  /** @param client the id that it keeps, where it has one @returns undefined for whom nothing tells apart from others */
  assign(user: string, client: string | undefined): Assignment | undefined {
    const subject = this.#byUser ? user : client
    return subject === undefined ? undefined : this.#drawn(subject)
  }

  /**
   * Weighted rendezvous: each variant draws a number for the subject, and the highest wins. A draw depends on nothing but its
   * own variant's name and weight; that is why others do not move.
   */
  #drawn(subject: string): Assignment | undefined {
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

/** Above 0 and below 1, as good as by chance. */
function uniform({ name, variant }: Assignment, subject: string): number {
  const digest = createHash('sha256').update(`${name}\n${variant}\n${subject}`).digest()
  return (digest.readUIntBE(0, 6) + 0.5) / 2 ** 48
}
