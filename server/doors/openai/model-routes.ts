// GET /v1/models and /v1/models/{model}: what may be asked for, as the OpenAI API lists it.
import { ReplyError } from '@parley/protocol'
import type { Route } from '../http/route.ts'
import { asOpenAiError } from './openai-error.ts'

/** @param ids of the models on offer; one that ends with `:*` stands for all of a provider */
export function modelRoutes(ids: readonly string[]): readonly Route[] {
  const created = Math.floor(Date.now() / 1000)
  const shown = (id: string) => ({ id, object: 'model', created, owned_by: id.split(':')[0] })
  return [
    {
      method: 'GET',
      path: '/v1/models',
      errors: asOpenAiError,
      handle(exchange) {
        exchange.reply(200, { object: 'list', data: ids.map(shown) })
      },
    },
    {
      method: 'GET',
      path: '/v1/models/:model',
      errors: asOpenAiError,
      handle(exchange) {
        const id = exchange.request.params.model ?? ''
        if (!ids.includes(id)) throw new ReplyError('model_not_allowed')
        exchange.reply(200, shown(id))
      },
    },
  ]
}
