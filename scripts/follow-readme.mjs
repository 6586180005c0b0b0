// Follows the first steps of a package's README in an empty folder: runs its commands as they are, saves its program where it says, and
// checks the result. Only what is not published yet is replaced: packages by tarballs, and ports by free ones.
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { launchChromium } from './browser.mjs'

/** Commands and lines of a README's first steps. */
const MOST_LINES = 10
const ONE_COMMAND_MS = 300_000
const ONE_ANSWER_MS = 60_000

/**
 * @param {object} options
 * @param {string} options.readme its path
 * @param {string} options.path an empty folder
 * @param {Readonly<Record<string, string>>} options.tarballs by name of the package, without its scope
 * @param {string} options.serverProject a folder in which the server is installed
 * @param {string} [options.prints] what its program prints
 * @returns {Promise<number>} how many commands and lines the first steps have
 * @throws Error if they have more than ten, or do not lead to their result
 */
export async function followReadme({ readme, path, tarballs, serverProject, prints = '' }) {
  const text = readFileSync(readme, 'utf8')
  const commands = linesOf(/```sh\n(.*?)```/s.exec(text)?.[1])
  const [, file, program = ''] = /`([\w./]+)`:\n\n```jsx?\n(.*?)```/s.exec(text) ?? []
  const lines = commands.length + linesOf(program).length
  if (lines > MOST_LINES) throw new Error(`${readme}: its first steps have ${lines} commands and lines.`)
  const [port, pagePort] = [await freePort(), await freePort()]
  const ported = (line) => line.replaceAll('8080', String(port)).replaceAll('5173', String(pagePort))
  const started = []
  try {
    for (const [at, command] of commands.map(ported).entries()) {
      const isLast = at === commands.length - 1
      if (isLast && file !== undefined) writeFileSync(join(path, file), ported(program))
      if (command.includes('npx @parley/server')) {
        const server = await startServer(command.replace(/ &$/, ''), serverProject, join(path, 'data'), port)
        started.push(server)
        if (isLast) await chat(server.url, sendInChat)
      } else if (command.startsWith('npm run dev')) {
        const page = start(`${command} -- --port ${pagePort} --strictPort`, path)
        started.push(page)
        await page.line('Local:')
        await chat(`http://localhost:${pagePort}`, sendInForm)
      } else {
        const output = await run(withTarballs(command, tarballs), path)
        if (isLast && !output.includes(prints)) throw new Error(`${readme}: its program prints: ${output}`)
      }
    }
  } finally {
    for (const each of started) await each.stop()
  }
  return lines
}

function linesOf(block = '') {
  return block.split('\n').filter((line) => line.trim() !== '')
}

/** npm would ask the registry for the packages that these need, so they are installed as well. */
function withTarballs(command, { protocol, client, ...others }) {
  if (!command.includes('npm install') || !command.includes('@parley/')) return command
  const all = { protocol, client, ...others }
  return `${command.replaceAll(/@parley\/([\w-]+)/g, (_, name) => all[name])} ${protocol} ${client}`
}

/**
 * Starts the server as a README says.
 * @param {string} command may set variables of the environment
 * @param {string} project a folder in which the server is installed
 * @param {string} data the folder of its data
 */
export async function startServer(command, project, data, port = 0) {
  const installed = command.replace('npx @parley/server', 'npx --no-install parley-server')
  const { PARLEY_CONFIG: _, ...env } = process.env
  const server = start(installed, project, { ...env, PARLEY_PORT: String(port), PARLEY_DATA: data })
  const listening = await server.line('listening')
  const url = /http:\/\/[\d.:]+/.exec(listening)?.[0]
  if (url === undefined) throw new Error(`The server says no address: ${listening}`)
  return { ...server, url }
}

/** @returns the command, which runs until `stop` */
function start(command, cwd, env = process.env) {
  // A group of its own, since `npm` and `npx` start further processes.
  const child = spawn('sh', ['-c', command], { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = new Promise((resolve) => child.once('close', resolve))
  let output = ''
  const listeners = new Set()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      output = `${output}${line}\n`.slice(-10_000)
      for (const listener of listeners) listener(line)
    })
  }
  return {
    output: () => output,
    exited,
    /** Waits for a line that contains the text. @throws Error if the command ends before */
    line: (text) => {
      const found = new Promise((resolve) => {
        listeners.add((line) => {
          if (line.includes(text)) resolve(line)
        })
      })
      const ended = exited.then((code) => {
        throw new Error(`${command} exited with ${code}: ${output}`)
      })
      return Promise.race([found, ended])
    },
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM')
      await exited
    },
  }
}

/** @returns what the command prints @throws Error if it fails, or takes more than five minutes */
async function run(command, cwd) {
  const running = start(command, cwd)
  const timer = setTimeout(() => void running.stop(), ONE_COMMAND_MS)
  const code = await running.exited
  clearTimeout(timer)
  if (code !== 0) throw new Error(`${command} exited with ${code}: ${running.output()}`)
  return running.output()
}

/** Sends a message in a page, reloads it in the middle of the answer, and expects the whole answer, once. */
async function chat(url, send) {
  const browser = await launchChromium()
  try {
    const page = await browser.newPage()
    page.setDefaultTimeout(ONE_ANSWER_MS)
    await page.goto(url)
    await send(page, '/demo count=60 rate=20 ttft=0')
    await page.getByText('0 1 2').first().waitFor()
    await page.reload()
    const whole = Array.from({ length: 60 }, (_, at) => at).join(' ')
    await page.getByText(whole).first().waitFor()
    const times = (await page.locator('body').innerText()).split(whole).length - 1
    if (times !== 1) throw new Error(`${url} shows the answer ${times} times.`)
  } finally {
    await browser.close()
  }
}

async function sendInForm(page, text) {
  await page.locator('input[name=text]').fill(text)
  await page.keyboard.press('Enter')
}

async function sendInChat(page, text) {
  await page.getByRole('textbox').fill(text)
  await page.keyboard.press('Enter')
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}
