// Copies the built page into the server's package before it is packed, and removes the copy afterwards.
import { cpSync, existsSync, rmSync } from 'node:fs'
import process from 'node:process'

const from = new URL('../web/dist/', import.meta.url)
const to = new URL('../server/dist/page/', import.meta.url)
rmSync(to, { recursive: true, force: true })
if (!process.argv.includes('--remove')) {
  if (!existsSync(new URL('index.html', from))) throw new Error('The page is not built. Run npm run build.')
  cpSync(from, to, { recursive: true })
}
