// ExportSection: the buttons that download the shown conversation.
import { useState } from 'react'
import { useChat, useRoom, useView } from '../connection/use-chat.ts'
import { exportJson, exportMarkdown, exportName } from './export.ts'

export function ExportSection() {
  const { client } = useChat()
  const { session } = useRoom()
  const [failed, setFailed] = useState(false)
  const isEmpty = useView((view) => view.turns.length === 0)
  const isLoading = useView((view) => view.status === 'replaying')
  const save = (ending: 'md' | 'json'): void => {
    const { state } = session
    try {
      const text = ending === 'md' ? exportMarkdown(state) : exportJson(state, client.now())
      download(exportName(state.title, ending), text, ending === 'md' ? 'text/markdown' : 'application/json')
      setFailed(false)
    } catch (error) {
      // Such as a tool's value that is nested too deeply, or a text that is too long for the browser.
      reportError(error)
      setFailed(true)
    }
  }
  return (
    <section>
      <h3>Export</h3>
      <p className='aside'>Downloads the conversation as it is shown, with tool calls.</p>
      <div className='buttons'>
        <button type='button' className='button' disabled={isEmpty || isLoading} onClick={() => save('md')}>
          Markdown
        </button>
        <button type='button' className='button' disabled={isEmpty || isLoading} onClick={() => save('json')}>
          JSON
        </button>
      </div>
      {failed ? (
        <p className='bubble-note bad' role='alert'>
          Couldn’t export this chat in this format.
        </p>
      ) : null}
    </section>
  )
}

function download(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser has taken the content when the click returns, except older ones of Safari.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
