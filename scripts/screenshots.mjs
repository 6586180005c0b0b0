// Takes the pictures of the README and the documents from the running page, so that they stay true. It starts a server with
// a fresh data folder and a scripted model, lets two people talk in it, and writes docs/images/*.png.
//
//   npm run screenshots
import { spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { LLMock } from '@copilotkit/aimock'
import { ParleyClient, tool } from '@parley/client'
import { launchChromium } from './browser.mjs'
import { withPalette } from './palette-png.mjs'
import { pinnedPackage } from './pinned-package.mjs'
import { FOLLOW_UP, OTHER_SESSIONS, QUESTION, REQUEST, scriptModel, TITLE, tools } from './screenshot-scene.mjs'

const IMAGES = fileURLToPath(new URL('../docs/images/', import.meta.url))
const SERVER = fileURLToPath(new URL('../server/dist/main.js', import.meta.url))
const SESSION = 'slow-first-tokens'
const SECRET = randomBytes(32).toString('hex')

/** Milliseconds. */
const TIMEOUT = 20_000
/** A picture in the repository is fetched by everybody who reads the README. */
const MAX_BYTES = 150_000

const DESKTOP = { viewport: { width: 1_280, height: 844 } }
const INSPECTOR = { viewport: { width: 1_280, height: 900 } }
const PHONE = { viewport: { width: 390, height: 760 }, deviceScaleFactor: 1.5, isMobile: true, hasTouch: true }

/** How the script finds its way in the page: by attributes, because sentences and classes change. */
const FIND = {
  answer: (status) => `[data-run][data-status=${status}]`,
  call: (status) => `[data-call][data-status=${status}]`,
  share: 'header nav button[aria-haspopup=dialog] >> visible=true >> nth=-1',
  dialog: 'dialog[open], [role=dialog]',
}

/** What has to be closed at the end, the newest first. */
const closing = []

try {
  await takePictures()
} finally {
  for (const close of closing) await close()
}

async function takePictures() {
  mkdirSync(IMAGES, { recursive: true })
  const url = await startServer(await startModel())
  const ada = await person(url, 'ada', 'Ada Park')
  const grace = await person(url, 'grace', 'Grace Obi')
  for (const [id, title, question] of OTHER_SESSIONS) {
    await ada.client.session(id).send(question).result()
    await ada.ask('PATCH', `/v1/sessions/${id}`, { title })
  }
  const session = ada.client.session(SESSION, { tools: tools(tool) })
  await when(session, ({ status }) => status === 'live')

  const browser = await launchChromium()
  closing.unshift(() => browser.close())
  const open = (path, options) => openPage(browser, `${url}${path}#token=${ada.token}`, options)
  const chat = `/?session=${SESSION}`
  // The inspector shows the most of runs that it saw from their beginning.
  const inspector = await open(`/inspect?session=${SESSION}`, INSPECTOR)
  await session.send(QUESTION).result()
  await ada.ask('PATCH', `/v1/sessions/${SESSION}`, { title: TITLE })
  const { token } = await ada.ask('POST', `/v1/sessions/${SESSION}/invites`, { role: 'editor' })
  await grace.ask('POST', `/v1/sessions/${SESSION}/members`, { token })
  grace.client.session(SESSION).send(REQUEST)
  const call = await when(session, ({ calls }) => [...calls.values()].find(({ status }) => status === 'deciding'))

  for (const colorScheme of ['light', 'dark']) {
    const page = await open(chat, { ...DESKTOP, colorScheme })
    await page.locator(FIND.call('deciding')).waitFor()
    await shoot(page, `page-${colorScheme}`)
    if (colorScheme === 'light') {
      await shoot(page.locator(FIND.call('deciding')), 'approval')
      await page.locator(FIND.share).click()
      await shoot(page.locator(FIND.dialog), 'sharing')
    }
    await page.context().close()
  }

  const phone = await open(chat, PHONE)
  await session.decide(call.id, 'approve')
  await when(session, (view) => view.activeRun === undefined)
  const advice = session.send(FOLLOW_UP)
  await phone.locator(FIND.answer('running')).locator('li').nth(1).waitFor()
  await shoot(phone, 'phone')
  await phone.context().close()

  await advice.result()
  await inspector.locator('[data-run]').nth(1).scrollIntoViewIfNeeded()
  await shoot(inspector, 'inspector')
}

/** An OpenAI-compatible server that says what the scene says. @returns its URL */
async function startModel() {
  const model = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 6 })
  scriptModel(model)
  await model.start()
  closing.unshift(() => model.stop())
  return model.url
}

/** @returns {Promise<string>} the URL of a server with an empty data folder */
async function startServer(modelUrl) {
  const data = mkdtempSync(join(tmpdir(), 'parley-screenshots-'))
  closing.unshift(() => rmSync(data, { recursive: true, force: true }))
  const env = {
    PATH: process.env.PATH,
    PARLEY_PORT: '0',
    PARLEY_DATA: data,
    PARLEY_NODE: 'node-1',
    PARLEY_JWT_SECRET: SECRET,
    PARLEY_MODEL: 'compatible:example',
    PARLEY_COMPATIBLE_URL: `${modelUrl}/v1`,
    PARLEY_COMPATIBLE_KEY: 'unused',
  }
  const server = spawn(process.execPath, [SERVER], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(server, 'exit')
  closing.unshift(async () => {
    server.kill('SIGTERM')
    await exit
  })
  for await (const line of createInterface({ input: server.stdout })) {
    const entry = JSON.parse(line)
    if (entry.listening !== true) continue
    server.stdout.resume()
    return entry.url
  }
  throw new Error('The server exited before it listened.')
}

/** Somebody with an access token: a client of the SDK, and plain HTTP requests. */
async function person(url, user, name) {
  const token = accessToken({ sub: user, name })
  const client = new ParleyClient({ url, token })
  closing.unshift(() => client.close())
  const ask = async (method, path, body) => {
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
    const answer = await fetch(`${url}${path}`, { method, headers, body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.status === 204 ? undefined : await answer.json()
  }
  return { token, client, ask }
}

function accessToken(claims) {
  const now = Math.floor(Date.now() / 1_000)
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = [
    { alg: 'HS256', typ: 'JWT' },
    { ...claims, iat: now, exp: now + 3_600 },
  ]
    .map(encode)
    .join('.')
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

/** Waits until `find` finds something in the session's state. @returns what it found */
function when(session, find) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('The session did not get there in time.')), TIMEOUT)
    const look = () => {
      const found = find(session.state)
      if (found === undefined || found === false) return
      clearTimeout(timer)
      unsubscribe()
      resolve(found)
    }
    const unsubscribe = session.subscribe(look)
    look()
  })
}

async function openPage(browser, address, options) {
  const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'UTC', colorScheme: 'light', ...options })
  context.setDefaultTimeout(TIMEOUT)
  await context.addInitScript(useFonts, fonts())
  const page = await context.newPage()
  await page.goto(address)
  return page
}

/** Not every machine has a good font for `system-ui`; these make the pictures the same everywhere. */
function fonts() {
  const read = (name, file) =>
    readFileSync(join(pinnedPackage(`@fontsource-variable/${name}`, '5.3.0'), 'files', file), 'base64')
  return {
    text: read('inter', 'inter-latin-wght-normal.woff2'),
    code: read('jetbrains-mono', 'jetbrains-mono-latin-wght-normal.woff2'),
  }
}

/** Runs in the page. */
function useFonts({ text, code }) {
  const bytes = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
  for (const [family, data] of Object.entries({ 'Picture Text': text, 'Picture Code': code })) {
    const face = new FontFace(family, bytes(data), { weight: '100 900' })
    document.fonts.add(face)
    face.load()
  }
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(`
    :root { --mono: 'Picture Code', monospace !important; }
    body, button, input, select, textarea { font-family: 'Picture Text', sans-serif !important; }
  `)
  document.adoptedStyleSheets.push(sheet)
}

/** @param what a page, or a part of one */
async function shoot(what, name) {
  const page = 'page' in what ? what.page() : what
  await page.evaluate(() => document.fonts.ready)
  // Two frames: the newest content is laid out and painted.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
  const png = withPalette(await what.screenshot({ animations: 'disabled' }))
  process.stdout.write(`docs/images/${name}.png: ${Math.round(png.length / 1_000)} kB\n`)
  if (png.length > MAX_BYTES) throw new Error(`${name}.png is larger than ${MAX_BYTES} bytes.`)
  writeFileSync(join(IMAGES, `${name}.png`), png)
}
