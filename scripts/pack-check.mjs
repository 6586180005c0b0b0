// npm run pack:check: packs the packages that are published, checks each tarball, installs all of them into an empty project
// for each runtime, and talks to the server that `npx` starts from its tarball. It also follows the README of each package, from an empty
// folder to a chat. Needs the npm registry, and Chromium.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { followReadme, startServer } from './follow-readme.mjs'

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
/** What the program of a README prints. Those of the other packages show a chat in a page. */
const PRINTS = { protocol: '524288', client: 'demo model' }
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

async function main() {
  const tarballs = pack()
  lint(tarballs)
  const serverProject = project('server', [tarballs.protocol, tarballs.server])
  const { url, stop } = await startServer('npx @parley/server', serverProject, join(folder, 'data'))
  try {
    const page = await (await fetch(url)).text()
    if (!page.includes('/assets/')) throw new Error('The package of the server has no page.')
    say(`server: npx serves the page at ${url}`)
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
    for (const file of readdirSync(assets)) {
      const content = readFileSync(join(assets, file))
      const sizes = [brotliCompressSync(content).length, gzipSync(content).length]
      say(`Vite: ${file} has ${sizes.join(' bytes with brotli, ')} with gzip`)
    }
  } finally {
    await stop()
  }
  for (const name of PACKAGES) {
    const path = join(folder, `readme-${name}`)
    mkdirSync(path)
    const readme = join(ROOT, name, 'README.md')
    const lines = await followReadme({ readme, path, tarballs, serverProject, prints: PRINTS[name] })
    say(`${name}: its README leads to its result in ${lines} commands and lines`)
  }
}

try {
  await main()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
