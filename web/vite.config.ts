// The build of the two pages: hashed files under /assets and nothing inline, as the server's strict content security
// policy requires. Larger files are also written compressed, so that the server does not compress them.
// In development, Vite serves the pages and proxies /v1 to a running server.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const server = process.env.PARLEY_URL ?? 'http://127.0.0.1:8080'
const dist = fileURLToPath(new URL('./dist/', import.meta.url))

/** Bytes. A smaller file fits into one packet uncompressed. */
const COMPRESS_FROM = 1_024

/** Writes a `.br` and a `.gz` file next to each file. */
function precompress(): Plugin {
  return {
    name: 'precompress',
    apply: 'build',
    closeBundle() {
      for (const path of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(js|css|html|svg)$/.test(path)) continue
        const body = readFileSync(dist + path)
        if (body.length < COMPRESS_FROM) continue
        writeFileSync(`${dist}${path}.br`, brotliCompressSync(body))
        writeFileSync(`${dist}${path}.gz`, gzipSync(body, { level: 9 }))
      }
    },
  }
}

/** Vite takes a build of this package for workers, too, that decodes character references by a `document`. */
function withoutDocument(): Plugin {
  const name = 'decode-named-character-reference'
  return {
    name: 'without-document',
    enforce: 'pre',
    resolveId: (id) => (id === name ? createRequire(import.meta.url).resolve(name) : undefined),
  }
}

export default defineConfig({
  plugins: [react(), precompress(), { ...withoutDocument(), apply: 'serve' }],
  worker: { format: 'es', plugins: () => [withoutDocument()] },
  build: {
    outDir: 'dist',
    // Two entry points: neither page loads code that only the other one needs.
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
