// Mounts the chat page.
import { createRoot } from 'react-dom/client'
import { Entrance } from './auth/auth.ts'
import { Front } from './auth/auth-gate.tsx'
import { EntranceContext } from './auth/use-auth.ts'
import './styles/base.css'
import './styles/badge.css'
import './styles/page.css'
import './styles/dialog.css'
import './styles/sessions.css'
import './styles/people.css'
import './styles/conversation.css'
import './styles/markdown.css'
import './styles/code.css'
import './styles/tool-card.css'
import './styles/composer.css'

const root = document.getElementById('root')
if (root === null) throw new Error('The page has no #root.')
createRoot(root).render(
  <EntranceContext value={new Entrance(window)}>
    <Front />
  </EntranceContext>,
)
