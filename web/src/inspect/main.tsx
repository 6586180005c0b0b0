// Mounts the inspector.
import { createRoot } from 'react-dom/client'
import { fragmentOf, withoutFragment } from '../auth/link-fragment.ts'
import { StoredToken } from '../auth/stored-token.ts'
import { sessionOf } from '../sessions/session-address.ts'
import { BrowserStorage } from '../shared/browser-storage.ts'
import { BrokenPage, ErrorBoundary } from '../shared/error-boundary.tsx'
import { Inspection } from './inspection.ts'
import { Inspector } from './inspector.tsx'
import { SessionPrompt } from './prompts.tsx'
import { InspectionContext } from './use-inspection.ts'
import '../styles/base.css'
import '../styles/badge.css'
import './inspect.css'
import './lane.css'
import './entries.css'

const root = document.getElementById('root')
if (root === null) throw new Error('The page has no #root element.')
const here = new URL(window.location.href)
const token = new StoredToken(new BrowserStorage(() => window.sessionStorage))
const fragment = fragmentOf(here)
if (fragment?.token !== undefined) token.set(fragment.token)
if (fragment !== undefined) window.history.replaceState(null, '', withoutFragment(here))
const session = sessionOf(here)
if (session === undefined) createRoot(root).render(<SessionPrompt />)
else {
  document.title = `${session} · Inspector · Parley`
  const inspection = new Inspection(session, token, window)
  createRoot(root).render(
    <ErrorBoundary fallback={<BrokenPage />}>
      <InspectionContext value={inspection}>
        <Inspector />
      </InspectionContext>
    </ErrorBoundary>,
  )
}
