// Readers: who reads the session at this moment, through which door of which node, and who does not keep up.
import { ScrollBox } from '../shared/scroll-box.tsx'
import { clockOf, span } from './entry-note.ts'
import { useShown } from './use-inspection.ts'

export function Readers() {
  const readers = useShown((state) => state.readers)
  const head = useShown(({ timeline, count }) => timeline.entry(count - 1)?.cursor)
  return (
    <section className='panel readers' aria-labelledby='readers-title'>
      <h2 id='readers-title'>Readers</h2>
      {readers === undefined ? (
        <p className='nothing'>It is not known at the moment who reads.</p>
      ) : (
        <>
          <p className='readers-count'>
            {readers.count} {readers.count === 1 ? 'reader' : 'readers'} on {readers.nodes.join(', ')}
            {readers.count > readers.readers.length ? `; ${readers.readers.length} of them are shown` : ''}. This page
            reads, too.
          </p>
          <ScrollBox className='readers-box' label='Who reads'>
            <table>
              <thead>
                <tr>
                  <th scope='col'>User</th>
                  <th scope='col'>Door</th>
                  <th scope='col'>Node</th>
                  <th scope='col'>State</th>
                  <th scope='col'>Up to</th>
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
                    <td className='code'>{reader.cursor === head ? 'the end' : reader.cursor}</td>
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
