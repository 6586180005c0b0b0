// Serves the app of strict-mode.ts, bundled as Vite bundles it for development: React checks more then.
import { fileURLToPath } from 'node:url'
import { build, type Rolldown } from 'vite'
import type { Files } from '../../client/test/middlebox.ts'

export const STRICT_MODE_PAGE = '/strict-mode.html'

export async function strictModeFiles(): Promise<Files> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    mode: 'development',
    define: { 'process.env.NODE_ENV': '"development"' },
    build: {
      write: false,
      minify: false,
      rolldownOptions: { input: fileURLToPath(new URL('strict-mode.ts', import.meta.url)) },
    },
  })
  const { output } = result as Rolldown.RolldownOutput
  return (path) => {
    if (path === STRICT_MODE_PAGE) {
      const script = `<script type="module" src="/${output[0].fileName}"></script>`
      return { type: 'text/html', body: `<!doctype html><link rel="icon" href="data:,"><body>${script}</body>` }
    }
    const file = output.find(({ fileName }) => path === `/${fileName}`)
    return file?.type === 'chunk' ? { type: 'text/javascript', body: file.code } : undefined
  }
}
