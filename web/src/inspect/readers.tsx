// Readers: the current readers of the session, with their transport, node and backlog.
import { ScrollBox } from '../shared/scroll-box.tsx'
import { clockOf, span } from './entry-note.ts'
import { useInspectionState } from './use-inspection.ts'

export function Readers() {
  const readers = useInspectionState((state) => state.readers)
  const head = useInspectionState(({ timeline, count }) => timeline.entry(count - 1)?.cursor)
  return (
    <section className='panel readers' aria-labelledby='readers-title'>
      <h2 id='readers-title'>Readers</h2>
      {readers === undefined ? (
        <p className='empty'>Readers unavailable.</p>
      ) : (
        <>
          <p className='readers-count'>
            {readers.count} {readers.count === 1 ? 'reader' : 'readers'} on {readers.nodes.join(', ')} (including this
            page){readers.count > readers.readers.length ? `, ${readers.readers.length} shown` : ''}
          </p>
          <ScrollBox className='readers-box' label='Readers'>
            <table>
              <thead>
                <tr>
                  <th scope='col'>User</th>
                  <th scope='col'>Transport</th>
                  <th scope='col'>Node</th>
                  <th scope='col'>State</th>
                  <th scope='col'>Position</th>
                  <th scope='col'>Unsent</th>
                  <th scope='col'>Since</th>
                  <th scope='col'>Connection</th>
                </tr>
              </thead>
              <tbody>
                {readers.readers.map((reader) => (
                  <tr key={`${reader.node} ${reader.connection} ${reader.since}`} data-state={reader.state}>
                    <td>{reader.user}</td>
                    <td>{reader.door}</td>
                    <td>{reader.node}</td>
                    <td>
                      {reader.state}
                      {reader.behindMs === undefined ? '' : ` for ${span(reader.behindMs)}`}
                    </td>
                    <td className='code'>{reader.cursor === head ? 'end' : reader.cursor}</td>
                    <td>{bytes(reader.unsentBytes)}</td>
                    <td>{clockOf(reader.since)}</td>
                    <td className='code'>{reader.connection}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </ScrollBox>
        </>
      )}
    </section>
  )
}

function bytes(count: number): string {
  return count < 1_024 ? `${count} B` : `${(count / 1_024).toFixed(1)} kB`
}
