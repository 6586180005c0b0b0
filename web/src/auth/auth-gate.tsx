// Front: the page from its first moment: the chat where it is open, else what is to be done before.
import { App } from '../app.tsx'
import { ChatContext } from '../connection/use-chat.ts'
import { SignInForm } from './sign-in.tsx'
import { useEntrance } from './use-auth.ts'

export function Front() {
  const { state } = useEntrance()
  if (state.chat !== undefined) {
    return (
      <ChatContext value={state.chat}>
        <App key={state.chat.key} />
      </ChatContext>
    )
  }
  return (
    <main className='front'>
      <h1 className='brand'>Parley</h1>
      {state.stage === 'shut' ? (
        <>
          <h2>You are invited to a session</h2>
          <p>This server wants to know who you are first.</p>
          <SignInForm />
        </>
      ) : (
        <p role='status'>Joining the session</p>
      )}
    </main>
  )
}
