// GET /v1/models and /v1/models/{model}: what may be asked for, as the OpenAI API lists it; and what a client means by a name.
import { ReplyError } from '@parley/protocol'
import type { Route } from '../http/route.ts'
import { asOpenAiError } from './openai-error.ts'

/** @param ids of the models on offer; one that ends with `:*` stands for all of a provider */
export function modelRoutes(ids: readonly string[]): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/models',
      errors: asOpenAiError,
      handle(exchange) {
        exchange.reply(200, { object: 'list', data: named(ids).map(shown) })
      },
    },
    {
      method: 'GET',
      path: '/v1/models/:model',
      errors: asOpenAiError,
      handle(exchange) {
        exchange.reply(200, shown(modelMeant(ids, exchange.request.params.model ?? '')))
      },
    },
  ]
}

/**
 * The id of a model. Clients of other servers name no provider: `gpt-5` is `openai:gpt-5`, where that is on offer.
 * @throws ReplyError model_not_allowed
 */
export function modelMeant(ids: readonly string[], asked: string): string {
  const provider = asked.slice(0, asked.indexOf(':') + 1)
  if (named(ids).includes(asked) || (provider !== '' && asked !== `${provider}*` && ids.includes(`${provider}*`)))
    return asked
  const [id] = named(ids).filter((each) => each.slice(each.indexOf(':') + 1) === asked)
  if (id !== undefined) return id
  const [all, ...others] = ids.filter((each) => each.endsWith(':*'))
  // With more than one, who can tell whose it is?
  if (all === undefined || others.length > 0 || asked === '' || asked === '*') throw new ReplyError('model_not_allowed')
  return all.slice(0, -1) + asked
}

function named(ids: readonly string[]): readonly string[] {
  return ids.filter((id) => !id.endsWith(':*'))
}

/** When a model was made is not known here. */
function shown(id: string) {
  return { id, object: 'model', created: 0, owned_by: id.includes(':') ? id.slice(0, id.indexOf(':')) : 'parley' }
}
