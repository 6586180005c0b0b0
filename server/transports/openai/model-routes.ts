// GET /v1/models and /v1/models/{model}: the available models, as the OpenAI API lists them. Also resolves a model
// name.
import { ReplyError } from '@parley/protocol'
import type { Route } from '../http/route.ts'
import { asOpenAiError } from './openai-error.ts'

/** @param ids of the available models; one that ends with `:*` stands for all models of a provider */
export function modelRoutes(ids: readonly string[]): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/models',
      errors: asOpenAiError,
      handle(exchange) {
        exchange.reply(200, { object: 'list', data: listed(ids).map(modelObject) })
      },
    },
    {
      method: 'GET',
      path: '/v1/models/:model',
      errors: asOpenAiError,
      handle(exchange) {
        exchange.reply(200, modelObject(resolveModel(ids, exchange.request.params.model ?? '')))
      },
    },
  ]
}

/**
 * The id of a model. Clients of other servers name no provider: `gpt-5` means `openai:gpt-5` if that is available.
 * @throws ReplyError model_not_allowed
 */
export function resolveModel(ids: readonly string[], name: string): string {
  const provider = name.slice(0, name.indexOf(':') + 1)
  if (listed(ids).includes(name) || (provider !== '' && name !== `${provider}*` && ids.includes(`${provider}*`)))
    return name
  const [id] = listed(ids).filter((each) => each.slice(each.indexOf(':') + 1) === name)
  if (id !== undefined) return id
  const [all, ...others] = ids.filter((each) => each.endsWith(':*'))
  // With several providers, a name without a provider is ambiguous.
  if (all === undefined || others.length > 0 || name === '' || name === '*') throw new ReplyError('model_not_allowed')
  return all.slice(0, -1) + name
}

function listed(ids: readonly string[]): readonly string[] {
  return ids.filter((id) => !id.endsWith(':*'))
}

/** `created` is 0 because it is unknown. */
function modelObject(id: string) {
  return { id, object: 'model', created: 0, owned_by: id.includes(':') ? id.slice(0, id.indexOf(':')) : 'parley' }
}
