// makeId: makes the ids of commands, connections and devices. Unlike ids that a server makes, they need no order.

/** @param prefix the kind of thing that the id names, such as `msg` for `msg_…` */
export function makeId(prefix: string): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(12))
  return `${prefix}_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
