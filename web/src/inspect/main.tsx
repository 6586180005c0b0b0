// Mounts the inspector.
import { createRoot } from 'react-dom/client'
import { fragmentOf, withoutFragment } from '../auth/link-fragment.ts'
import { Pass } from '../auth/stored-token.ts'
import { sessionOf } from '../sessions/session-address.ts'
import { Keep } from '../shared/browser-storage.ts'
import { Painted } from '../shared/frame-throttle.ts'
import { Inspection } from './inspection.ts'
import { Inspector } from './inspector.tsx'
import { AskForSession } from './questions.tsx'
import { InspectionContext } from './use-inspection.ts'
import '../styles/base.css'
import '../styles/badge.css'
import './inspect.css'
import './lane.css'
import './entries.css'

const root = document.getElementById('root')
if (root === null) throw new Error('The page has no #root.')
const here = new URL(window.location.href)
const pass = new Pass(new Keep(() => window.sessionStorage))
const brought = fragmentOf(here)
if (brought?.token !== undefined) pass.take(brought.token)
if (brought !== undefined) window.history.replaceState(null, '', withoutFragment(here))
const session = sessionOf(here)
if (session === undefined) createRoot(root).render(<AskForSession />)
else {
  document.title = `${session} · Inspector · Parley`
  const inspection = new Inspection(session, pass, window)
  const shown = new Painted(inspection, (callback) => window.requestAnimationFrame(callback))
  createRoot(root).render(
    <InspectionContext value={{ inspection, shown }}>
      <Inspector />
    </InspectionContext>,
  )
}
