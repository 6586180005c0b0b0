// OpenAI clients in JavaScript: openai-clients.mjs CLIENT FEATURE. Prints what the program in Python prints.
import { once } from 'node:events'
import process from 'node:process'
import { createOpenAI } from '@ai-sdk/openai'
import { HumanMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { generateText, isStepCount, Output, streamText, tool } from 'ai'
import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'

const { BASE_URL: baseURL, MODEL: model, PROMPT: prompt } = process.env
const apiKey = 'k'
const second = 'And again?'
const place = z.object({ city: z.string(), degrees: z.number() })
const city = z.object({ city: z.string() })
const user = (content) => ({ role: 'user', content })
const show = ({ city, degrees }) => `${city} ${degrees}`

function temperature(place) {
  if (place !== 'Oslo') throw new Error(place)
  return '12 degrees'
}

/** @returns the text of all parts */
async function join(parts, textOf) {
  let text = ''
  for await (const part of parts) {
    const more = textOf(part)
    if (more !== '') process.stderr.write('piece\n')
    text += more
  }
  return text
}

async function openai(feature) {
  const { completions } = new OpenAI({ baseURL, apiKey }).chat
  const messages = [user(prompt)]
  if (feature === 'stream') {
    const chunks = await completions.create({ model, messages, stream: true })
    return join(chunks, ({ choices }) => choices[0]?.delta.content ?? '')
  }
  if (feature === 'structured') {
    const answer = await completions.parse({ model, messages, response_format: zodResponseFormat(place, 'place') })
    return show(answer.choices[0].message.parsed)
  }
  if (feature === 'tools') {
    const weather = {
      name: 'weather',
      parameters: z.toJSONSchema(city),
      parse: JSON.parse,
      function: ({ city }) => temperature(city),
    }
    return completions.runTools({ model, messages, tools: [{ type: 'function', function: weather }] }).finalContent()
  }
  const first = await completions.create({ model, messages })
  if (feature !== 'second') return first.choices[0].message.content
  const history = [...messages, first.choices[0].message, user(second)]
  return (await completions.create({ model, messages: history })).choices[0].message.content
}

async function aiSdk(feature) {
  const options = { model: createOpenAI({ baseURL, apiKey })(model) }
  if (feature === 'stream') {
    const { fullStream } = streamText({ ...options, prompt, onError: () => undefined })
    return join(fullStream, (part) => {
      if (part.type === 'error') throw part.error
      return part.type === 'text-delta' ? part.text : ''
    })
  }
  if (feature === 'structured') {
    return show((await generateText({ ...options, prompt, output: Output.object({ schema: place }) })).output)
  }
  if (feature === 'tools') {
    const weather = tool({ inputSchema: city, execute: ({ city }) => temperature(city) })
    return (await generateText({ ...options, prompt, tools: { weather }, stopWhen: isStepCount(3) })).text
  }
  const first = await generateText({ ...options, prompt })
  if (feature !== 'second') return first.text
  return (await generateText({ ...options, messages: [user(prompt), ...first.response.messages, user(second)] })).text
}

async function langchain(feature) {
  const chat = new ChatOpenAI({ model, apiKey, configuration: { baseURL } })
  const history = [new HumanMessage(prompt)]
  if (feature === 'stream') return join(await chat.stream(history), ({ text }) => text)
  if (feature === 'structured') {
    return show(await chat.withStructuredOutput(place, { method: 'jsonSchema' }).invoke(history))
  }
  if (feature === 'tools') {
    const bound = chat.bindTools([
      { type: 'function', function: { name: 'weather', parameters: z.toJSONSchema(city) } },
    ])
    const message = await bound.invoke(history)
    const [call] = message.tool_calls
    const output = new ToolMessage({ content: temperature(call.args.city), tool_call_id: call.id })
    return (await bound.invoke([...history, message, output])).text
  }
  const first = await chat.invoke(history)
  if (feature !== 'second') return first.text
  return (await chat.invoke([...history, first, new HumanMessage(second)])).text
}

const [client, feature] = process.argv.slice(2)

async function attempt(wanted) {
  try {
    process.stdout.write(`${await { openai, 'ai-sdk': aiSdk, langchain }[client](wanted)}\n`)
  } catch (error) {
    process.stdout.write(`failed: ${error.name}\n`)
    process.stderr.write(`${error.stack}\n`)
  }
}

await attempt(feature === 'drain' ? 'stream' : feature)
if (feature === 'drain') {
  await once(process.stdin, 'data')
  await attempt('stream')
}
process.exit(0)
