// nginx: a real nginx as a child process in front of one server, with its own port and folder. It uses the
// configuration in docs/guides/proxies.md unchanged, with nginx's default buffering.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../bench/cluster/free-port.ts'
import { ProxyProcess } from '../../bench/cluster/proxy-process.ts'
import { NGINX, requireProgram } from '../../scripts/programs.mjs'

const GUIDE = new URL('../../docs/guides/proxies.md', import.meta.url)
/** Its folders for buffered data. */
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** @param more additional lines for its `location` */
export async function startNginx(target: number, more = ''): Promise<ProxyProcess> {
  const binary = requireProgram(NGINX)
  const folder = mkdtempSync(join(tmpdir(), 'parley-nginx-'))
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  for (const name of TEMPORARY) mkdirSync(join(folder, name))
  writeFileSync(config, text(folder, port, target, more))
  const words = ['-p', folder, '-c', config, '-e', 'stderr']
  return ProxyProcess.start({ name: 'nginx', binary, words, folder, port })
}

function text(folder: string, port: number, target: number, more: string): string {
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr;
events { worker_connections 512; }
http {
  access_log off;
  ${TEMPORARY.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${guide()
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('127.0.0.1:8080', `127.0.0.1:${target}`)
    .replace('location / {', `location / {\n${more}`)}
}
`
}

/** The first nginx configuration of the guide. */
function guide(): string {
  const [, block = ''] = /```nginx\n([\s\S]*?)```/.exec(readFileSync(GUIDE, 'utf8')) ?? []
  return block
}
