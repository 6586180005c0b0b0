// clientId: a random id by which a server without authentication recognises this client, for experiments only. It is
// created on first use, which never happens with an access token, and lives as long as the storage keeps it.
import { makeId } from './make-id.ts'
import { type DoorStorage, tryStorage } from './transport/door.ts'

const ID_PATTERN = /^[A-Za-z0-9_-]{1,128}$/

/**
 * @param origin of the server: each server gets an id of its own
 * @returns a function that returns the id: constant for this client, and for later clients with the same storage
 */
export function clientId(storage: DoorStorage | undefined, origin: string): () => string {
  const key = `parley.client:${origin}`
  let id: string | undefined
  const kept = (): string | undefined =>
    tryStorage(storage, (given) => {
      const held = given.getItem(key) ?? ''
      if (ID_PATTERN.test(held)) return held
      const made = makeId('cli')
      given.setItem(key, made)
      return made
    })
  return () => {
    id ??= kept() ?? makeId('cli')
    return id
  }
}
