// The Dockerfile and deploy/ name only workspaces and settings that exist, and their timeouts fit each other. Running
// them needs a container engine: docs/adr/0018 says how that was tried.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { SETTINGS } from '../server/config/settings.ts'

const root = new URL('..', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const dockerfile = read('Dockerfile')
const compose = read('deploy/compose.yaml')
const caddyfile = read('deploy/Caddyfile')
const kubernetes = ['settings', 'nodes', 'relay'].map((name) => read(`deploy/kubernetes/${name}.yaml`)).join('---\n')
const variables = new Set<string>(Object.values(SETTINGS).map(({ variable }) => variable))
/** Variables of the load balancer and of the Compose file, not of the server. */
const OTHERS: ReadonlySet<string> = new Set(['PARLEY_SITE', 'PARLEY_NODES', 'PARLEY_HTTP', 'PARLEY_HTTPS'])

describe('the image', () => {
  it('copies the manifests of all workspaces', () => {
    const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] }
    const copied = [...dockerfile.matchAll(/^COPY ([\w-]+)\/package\.json \1\/$/gm)].map(([, name]) => name)
    expect(copied).toEqual(workspaces)
  })

  it('gets only the files that it copies', () => {
    const allowed = [...read('.dockerignore').matchAll(/^!(\S+)$/gm)].map(([, name]) => name)
    const copied = [...dockerfile.matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, names]) => names?.split(' ') ?? [])
    const used = copied.map((name) => allowed.find((path) => name === path || name.startsWith(`${path}/`)) ?? name)
    expect([...new Set(used)].sort()).toEqual([...allowed].sort())
  })

  it('has a bill of materials, written from nothing but the files that its stage copies', () => {
    const folder = mkdtempSync(join(tmpdir(), 'parley-image-'))
    try {
      const stages = dockerfile.split(/^FROM /m)
      const copies = ['AS manifests', 'AS dependencies']
        .map((name) => stages.find((stage) => stage.split('\n', 1)[0]?.endsWith(name)) ?? '')
        .flatMap((stage) => [...stage.matchAll(/^COPY (?!--)(.+) (\S+)$/gm)])
      for (const [, names = '', to = ''] of copies) {
        for (const name of names.split(' ')) {
          const from = fileURLToPath(new URL(name, root))
          cpSync(from, to.endsWith('/') ? join(folder, to, basename(name)) : join(folder, to), { recursive: true })
        }
      }
      expect(dockerfile).toContain('npm run --silent sbom > sbom.cdx.json')
      const written = execFileSync('npm', ['run', '--silent', 'sbom'], { cwd: folder, encoding: 'utf8' })
      const { components } = JSON.parse(written) as { components: { name: string }[] }
      const names = components.map(({ name }) => name)
      expect(names).toEqual(expect.arrayContaining(['@btc-vision/uwebsockets.js', 'lmdb', 'zod']))
      expect(names).not.toContain('vitest')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('sets only settings that exist', () => {
    const set = [...dockerfile.matchAll(/\bPARLEY_[A-Z_]+/g)].map(([name]) => name)
    expect(set.filter((name) => !variables.has(name))).toEqual([])
  })
})

describe('the deployment', () => {
  it('sets only settings that exist', () => {
    const set = [...`${compose}${caddyfile}${kubernetes}`.matchAll(/\bPARLEY_[A-Z_]+/g)].map(([name]) => name)
    expect(set.filter((name) => !variables.has(name) && !OTHERS.has(name))).toEqual([])
  })

  it('gives nodes and load balancer more time to stop than they need', () => {
    const drain = Number(/PARLEY_DRAIN: '(\d+)'/.exec(compose)?.[1])
    const grace = Number(/grace_period (\d+)s/.exec(caddyfile)?.[1])
    const [, node, balancer] = [...compose.matchAll(/stop_grace_period: (\d+)s/g)].map(([, seconds]) => Number(seconds))
    expect(node).toBeGreaterThanOrEqual(drain + 10)
    expect(balancer).toBeGreaterThan(grace)
  })

  it('gives nodes on Kubernetes more time to stop than they need, and relays as much as a run may take', () => {
    const drain = Number(/PARLEY_DRAIN: '(\d+)'/.exec(kubernetes)?.[1])
    const [node, relay] = [...kubernetes.matchAll(/terminationGracePeriodSeconds: (\d+)/g)].map(([, s]) => Number(s))
    expect(node).toBeGreaterThanOrEqual(drain + 10)
    expect(relay).toBeGreaterThanOrEqual(SETTINGS.runMs.fallback / 1000)
  })

  it('names every relay of Kubernetes, at its port', () => {
    const [, urls = ''] = /PARLEY_RELAY_URL: (\S+)/.exec(kubernetes) ?? []
    const [, count] = /kind: StatefulSet[\s\S]*?replicas: (\d+)/.exec(kubernetes) ?? []
    const [, port] = /PARLEY_PORT, value: '(\d+)'/.exec(kubernetes) ?? []
    const names = Array.from({ length: Number(count) }, (_, at) => `http://parley-relay-${at}.parley-relay:${port}`)
    expect(urls.split(',')).toEqual(names)
  })

  it('contains no secret', () => {
    const secrets = [...compose.matchAll(/^\s+(\w*(?:SECRET|PASSWORD|KEY)\w*):[ ]*(.*)$/gm)]
    expect(secrets.map(([, , value]) => value).filter((value) => value !== '' && !value?.startsWith('${'))).toEqual([])
  })
})
