// UnitCosts: what one thing costs NATS and a node. The simulation multiplies them. CPU in microseconds, sizes in bytes.

export interface UnitCosts {
  /** CPU of the node that drives the run, and of the node with its reader, for one output. */
  readonly worker: number
  readonly gateway: number
  /** CPU of all NATS servers together for one output, by replicas. */
  readonly storeNats: Readonly<Record<1 | 3, number>>
  /** Outputs that one stream stores in a second at most, by replicas. */
  readonly streamPerSecond: Readonly<Record<1 | 3, number>>
  /** CPU of NATS for each further node that gets a message. */
  readonly deliverNats: number
  /** CPU of a node that gets a sign of life, a message about presence, a notice of runs, and each run in it. */
  readonly sign: number
  readonly presence: number
  readonly notice: number
  readonly noticedRun: number
  /** Memory of each NATS server, and of the node, for one subscription. */
  readonly subscriptionNats: number
  readonly subscriptionNode: number
  /** Memory of a NATS server with a replica for one stored subject: a message or a run has one. */
  readonly subjectNats: number
  /** Bytes in the file of one replica for one output. */
  readonly outputDisk: number
}

/**
 * By `node bench/dist/scale/measure.js`; `worker`, `gateway` and `storeNats` by nodes-bench and jetstream-bench, see
 * docs/performance.md.
 */
export const UNIT_COSTS: UnitCosts = {
  worker: 62,
  gateway: 33,
  storeNats: { 1: 40, 3: 203 },
  streamPerSecond: { 1: 25_000, 3: 13_000 },
  deliverNats: 4.8,
  sign: 64,
  presence: 70,
  notice: 74,
  noticedRun: 0.34,
  subscriptionNats: 930,
  subscriptionNode: 1_700,
  subjectNats: 790,
  outputDisk: 213,
}
