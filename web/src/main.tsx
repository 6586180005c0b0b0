// Mounts the chat page.
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { Chat } from './chat.ts'
import { ChatContext } from './use-chat.ts'
import './styles/base.css'
import './styles/page.css'
import './styles/sessions.css'
import './styles/conversation.css'
import './styles/markdown.css'
import './styles/code.css'
import './styles/tool-card.css'
import './styles/composer.css'

const root = document.getElementById('root')
if (root === null) throw new Error('The page has no #root.')
const chat = new Chat(window)
createRoot(root).render(
  <ChatContext value={chat}>
    <App />
  </ChatContext>,
)
