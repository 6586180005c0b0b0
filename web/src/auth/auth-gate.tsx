// AuthGate: shows the chat once it is open. Until then it shows the sign-in form or the progress of joining.
import { App } from '../app.tsx'
import { ChatContext } from '../connection/use-chat.ts'
import { SignInForm } from './sign-in.tsx'
import { useAuth } from './use-auth.ts'

export function AuthGate() {
  const { state } = useAuth()
  if (state.chat !== undefined) {
    return (
      <ChatContext value={state.chat}>
        <App key={state.chat.key} />
      </ChatContext>
    )
  }
  return (
    <main className='auth-gate'>
      <h1 className='brand'>Parley</h1>
      {state.stage === 'sign-in' ? (
        <>
          <h2>You’ve been invited to a chat</h2>
          <p>Sign in to continue.</p>
          <SignInForm />
        </>
      ) : (
        <p role='status'>Joining the chat…</p>
      )}
    </main>
  )
}
