// One page for each program. The server must allow the origin of `npm run dev`: PARLEY_ORIGINS=http://localhost:5173
import { readdirSync } from 'node:fs'

const pages = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.html'))

export default { build: { rolldownOptions: { input: pages } } }
