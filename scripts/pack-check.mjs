// npm run pack:check: packs the packages that are published, checks each tarball, installs all of them into an empty project
// for each runtime, and talks to the server that `npx` starts from its tarball. It also follows the README of the client, from an empty
// folder; test/clients/front-ends.outside.test.ts follows those of the packages for pages. Needs the npm registry.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PACKAGES = ['protocol', 'client', 'react', 'ai-sdk', 'server']
/** Each from its own package of the registry, which ships the program. */
const RUNTIMES = [
  { name: 'Node 20', package: 'node@20', command: ['node'] },
  { name: 'Node 22', package: 'node@22', command: ['node'] },
  { name: 'Node 24', package: 'node@24', command: ['node'] },
  { name: 'Bun', package: 'bun@1.4.5', command: ['bun', 'run'] },
  { name: 'Deno', package: 'deno@2.9.6', command: ['deno', 'run', '--allow-all', '--node-modules-dir=manual'] },
]
const PROGRAM = `import { ParleyClient } from '@parley/client'
const client = new ParleyClient({ url: process.argv[2] })
let whole = ''
for await (const text of client.session(process.argv[3]).send('/demo count=20 rate=0').text()) whole += text
if (whole !== Array.from({ length: 20 }, (_, i) => i).join(' ')) throw new Error('wrong answer: ' + whole)
await client.close()
process.exit(0)
`
const PAGE_SCRIPT = `import { ParleyChatTransport } from '@parley/ai-sdk'
import { ParleyClient } from '@parley/client'
import { useSession } from '@parley/react'
console.log(ParleyChatTransport, ParleyClient, useSession)
`
const ONE_RUN_MS = 300_000

const folder = mkdtempSync(join(tmpdir(), 'parley-pack-'))
const say = (line) => process.stdout.write(`${line}\n`)
const run = (command, args, cwd) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', timeout: ONE_RUN_MS, stdio: ['ignore', 'pipe', 'pipe'] })

/** @param packages names for the registry, and tarballs @returns an empty project with them */
function project(name, packages) {
  const path = join(folder, name.replaceAll(/\W+/g, '-').toLowerCase())
  mkdirSync(path)
  writeFileSync(join(path, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  run('npm', ['install', '--no-audit', '--no-fund', '--silent', ...packages], path)
  return path
}

function pack() {
  run('npm', ['pack', '--silent', '--pack-destination', folder, ...PACKAGES.flatMap((name) => ['-w', name])], ROOT)
  const files = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  return Object.fromEntries(
    PACKAGES.map((name) => [name, join(folder, files.find((file) => file.startsWith(`parley-${name}-`)) ?? '')]),
  )
}

function lint(tarballs) {
  for (const [name, tarball] of Object.entries(tarballs)) {
    run('npm', ['exec', '--yes', '--package=publint@0.3.25', '--', 'publint', 'run', tarball, '--strict'], folder)
    if (name !== 'server') {
      const attw = ['--yes', '--package=@arethetypeswrong/cli@0.18.5', '--', 'attw', tarball, '--profile', 'esm-only']
      run('npm', ['exec', ...attw], folder)
    }
    say(`${name}: publint and attw find nothing`)
  }
}

/** Starts the server as `npx @parley/server` does. */
async function serve({ protocol, server }) {
  const path = project('server', [protocol, server])
  const env = { ...process.env, PARLEY_PORT: '0', PARLEY_DATA: join(path, 'data'), PARLEY_CONFIG: '' }
  delete env.PARLEY_CONFIG
  const child = spawn('npx', ['--no-install', 'parley-server'], {
    cwd: path,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const listening = new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`The server exited with ${code}.`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const url = /http:\/\/[\d.:]+/.exec(line.includes('listening') ? line : '')?.[0]
      if (url !== undefined) resolve(url)
    })
  })
  return { child, url: await listening }
}

/** Commands and lines of a README's first steps. */
const MOST_LINES = 10

/** Follows the first steps of the client's README, with the tarballs. */
function followReadme({ protocol, client }, url) {
  const readme = readFileSync(join(ROOT, 'client/README.md'), 'utf8')
  const [commands, program] = ['sh', 'js'].map(
    (kind) => new RegExp(`\`\`\`${kind}\\n(.*?)\`\`\``, 's').exec(readme)?.[1] ?? '',
  )
  const lines = `${commands}${program}`.split('\n').filter((line) => line.trim() !== '')
  if (lines.length > MOST_LINES) throw new Error(`The README of the client has ${lines.length} commands and lines.`)
  if (!commands.includes('npm install @parley/client')) throw new Error('The README of the client does not install it.')
  const path = project('readme', [protocol, client])
  writeFileSync(join(path, 'chat.mjs'), program.replace('http://127.0.0.1:8080', url))
  const answer = run('node', ['chat.mjs'], path)
  if (!answer.includes('demo model')) throw new Error(`The program of the client's README prints: ${answer}`)
  say(`client: its README leads to an answer in ${lines.length} commands and lines`)
}

async function main() {
  const tarballs = pack()
  lint(tarballs)
  const { child, url } = await serve(tarballs)
  try {
    const page = await (await fetch(url)).text()
    if (!page.includes('/assets/')) throw new Error('The package of the server has no page.')
    say(`server: npx serves the page at ${url}`)
    followReadme(tarballs, url)
    for (const runtime of RUNTIMES) {
      const path = project(runtime.name, [tarballs.protocol, tarballs.client, runtime.package])
      writeFileSync(join(path, 'program.mjs'), PROGRAM)
      const [command, ...words] = runtime.command
      const id = runtime.name.replaceAll(/\W+/g, '-')
      run(join(path, 'node_modules/.bin', command), [...words, 'program.mjs', url, id], path)
      say(`${runtime.name}: streams an answer`)
    }
    const { protocol, client, react, 'ai-sdk': aiSdk } = tarballs
    const path = project('vite', [protocol, client, react, aiSdk, 'vite@8', 'react@19', 'react-dom@19', 'ai@6.0.325'])
    writeFileSync(join(path, 'index.html'), '<script type="module" src="/main.js"></script>')
    writeFileSync(join(path, 'main.js'), PAGE_SCRIPT)
    run(join(path, 'node_modules/.bin/vite'), ['build', '--logLevel', 'error'], path)
    const assets = join(path, 'dist/assets')
    const sizes = readdirSync(assets).map(
      (file) => `${file} ${gzipSync(readFileSync(join(assets, file))).length} bytes`,
    )
    say(`Vite: ${sizes.join(', ')} (gzip, with React)`)
  } finally {
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }
}

try {
  await main()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
