// Share: keeps the identity of what did not change, so that React does not render it again. Pure, for plain data.

/** @returns `after`, in which every part that equals the same part of `before` is that same object; it changes `after` */
export function share<T>(before: unknown, after: T): T {
  if (before === after || !isObject(before) || !isObject(after) || Array.isArray(before) !== Array.isArray(after)) {
    return after
  }
  const keys = Object.keys(after)
  let isEqual = keys.length === Object.keys(before).length
  for (const key of keys) {
    const part = share(before[key], after[key])
    if (part !== after[key]) Object.assign(after, { [key]: part })
    isEqual &&= part === before[key]
  }
  return isEqual ? (before as T) : after
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
