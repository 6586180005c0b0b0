// CallArguments: the arguments of the calls in one request. They are JSON in strings of JSON, so the limits of the request's body do
// not see them.
import { jsonSize, LIMITS, parseJson } from '@parley/protocol'
import { HttpError } from '../http/http-error.ts'

export class CallArguments {
  #valuesLeft: number = LIMITS.values

  /**
   * @returns their value; `{}` for an empty text. The text itself if it is not JSON, or nested too deeply: a model wrote it, so it
   * may be anything
   * @throws HttpError too_large if all of the request have too many keys and values together
   */
  parse(text: string): unknown {
    if (text === '') return {}
    const { values, depth } = jsonSize(text, { maxValues: this.#valuesLeft, maxDepth: LIMITS.depth })
    this.#valuesLeft -= values
    if (this.#valuesLeft < 0) {
      throw new HttpError('too_large', `The arguments of calls exceed the limit of ${LIMITS.values} keys and values.`)
    }
    if (depth > LIMITS.depth) return text
    try {
      return parseJson(text)
    } catch {
      return text
    }
  }
}
