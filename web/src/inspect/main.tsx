// Mounts the inspector.
import { createRoot } from 'react-dom/client'
import { sessionOf } from '../address.ts'
import { fragmentOf, withoutFragment } from '../entrance/fragment.ts'
import { Pass } from '../entrance/pass.ts'
import { Keep } from '../keep.ts'
import { Painted } from '../painted.ts'
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
