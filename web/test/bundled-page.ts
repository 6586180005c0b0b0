// A page with one script, bundled as Vite bundles it for development: React checks more then.
import { fileURLToPath } from 'node:url'
import { build, type Rolldown } from 'vite'
import type { Files } from '../../client/test/middlebox.ts'

/**
 * @param path the page's path, such as `/app.html`
 * @param script the URL of the source file
 * @param alias packages to replace, by name
 */
export async function bundledPage(
  path: string,
  script: URL,
  alias: Readonly<Record<string, string>> = {},
): Promise<Files> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    mode: 'development',
    define: { 'process.env.NODE_ENV': '"development"' },
    resolve: { alias },
    build: { write: false, minify: false, rolldownOptions: { input: fileURLToPath(script) } },
  })
  const { output } = result as Rolldown.RolldownOutput
  return (asked) => {
    const [name] = asked.split('?')
    if (name === path) {
      const tag = `<script type="module" src="/${output[0].fileName}"></script>`
      return { type: 'text/html', body: `<!doctype html><link rel="icon" href="data:,"><body>${tag}</body>` }
    }
    const file = output.find(({ fileName }) => name === `/${fileName}`)
    return file?.type === 'chunk' ? { type: 'text/javascript', body: file.code } : undefined
  }
}
