// ExportSection: the buttons that download the shown conversation.
import { useRoom, useView } from '../connection/use-chat.ts'
import { exportJson, exportMarkdown, exportName } from './export.ts'

export function ExportSection() {
  const { session } = useRoom()
  const isEmpty = useView((view) => view.turns.length === 0)
  const isLoading = useView((view) => view.status === 'replaying')
  const save = (ending: 'md' | 'json'): void => {
    const { state } = session
    const text = ending === 'md' ? exportMarkdown(state) : exportJson(state, Date.now())
    download(exportName(state.title, ending), text, ending === 'md' ? 'text/markdown' : 'application/json')
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
