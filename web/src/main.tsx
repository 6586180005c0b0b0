// Mounts the chat page.
import { createRoot } from 'react-dom/client'
import { Auth } from './auth/auth.ts'
import { AuthGate } from './auth/auth-gate.tsx'
import { AuthContext } from './auth/use-auth.ts'
import { BrokenPage, ErrorBoundary } from './shared/error-boundary.tsx'
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
import './styles/agents.css'
import './styles/composer.css'
import './styles/extras.css'

const root = document.getElementById('root')
if (root === null) throw new Error('The page has no #root element.')
createRoot(root).render(
  <ErrorBoundary fallback={<BrokenPage />}>
    <AuthContext value={new Auth(window)}>
      <AuthGate />
    </AuthContext>
  </ErrorBoundary>,
)
