// How the page is built: hashed files under /assets, nothing inline, so that the server's strict content
// security policy holds. Each file of some size stands there compressed as well: the server need not do it.
// In development, Vite serves the page and passes the wire on to a running server.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const server = process.env.PARLEY_URL ?? 'http://127.0.0.1:8080'
const dist = fileURLToPath(new URL('./dist/', import.meta.url))

/** Smaller files fit a packet as they are. */
const PACKED_FROM = 1_024

/** Writes `.br` and `.gz` beside each file. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    closeBundle() {
      for (const path of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(js|css|html|svg)$/.test(path)) continue
        const body = readFileSync(dist + path)
        if (body.length < PACKED_FROM) continue
        writeFileSync(`${dist}${path}.br`, brotliCompressSync(body))
        writeFileSync(`${dist}${path}.gz`, gzipSync(body, { level: 9 }))
      }
    },
  }
}

export default defineConfig({
  plugins: [react(), packed()],
  build: {
    outDir: 'dist',
    // Two pages: what the one needs is no part of the other's first load, but for what they share.
    rolldownOptions: {
      input: ['index.html', 'inspect.html'].map((name) => fileURLToPath(new URL(name, import.meta.url))),
    },
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: { proxy: { '/v1': { target: server, ws: true } } },
})
