// Welcome: what an empty chat shows: the models, agents and tools of the server, and requests to try. It covers the
// conversation, so that its height does not scroll that.
import { namedModels, type Offers, unavailable } from '../composer/choices.ts'
import { useRoom, useView } from '../connection/use-chat.ts'
import { useMay } from '../people/use-people.ts'
import { useStore } from '../shared/store.ts'

const EXAMPLES = [
  'What can you do?',
  'Explain how HTTPS works in five sentences.',
  'Compare SQLite and PostgreSQL in a table.',
]
/** The demo model does what its commands say. */
const DEMO_EXAMPLES = ['What can you do?', '/demo count=200 rate=20', '/demo reasoning=30 count=60 rate=20']

export function Welcome() {
  const live = useView((view) => view.status === 'live')
  const { sender, choice, allowance } = useRoom()
  const { offers } = useStore(allowance)
  const chosen = useStore(choice)
  const maySend = useMay('send')
  if (!live) return null
  const isDemo = (chosen.model ?? offers?.models[0]) === 'demo'
  return (
    <div className='welcome'>
      <div>
        <h2>Start a conversation</h2>
        <p>
          This chat has its own link: open it in another tab or device to continue. Answers keep running when you leave;
          send a message to interrupt.
        </p>
        {offers === undefined ? null : <OfferList offers={offers} />}
        {maySend && offers !== undefined ? (
          <ul className='examples' aria-label='Examples'>
            {(isDemo ? DEMO_EXAMPLES : EXAMPLES).map((text) => (
              <li key={text}>
                <button
                  type='button'
                  className='button'
                  disabled={unavailable(chosen, offers).length > 0}
                  onClick={() => sender.send(text, 'queue', chosen)}
                >
                  {text}
                </button>
              </li>
            ))}
          </ul>
        ) : null}
      </div>
    </div>
  )
}

function OfferList({ offers }: { readonly offers: Offers }) {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['Models', namedModels(offers)],
    ['Agents', offers.agents.map(({ name }) => name)],
    [
      'Tools',
      offers.tools.map(({ name, description }) => (description === undefined ? name : `${name}: ${description}`)),
    ],
  ]
  return (
    <dl className='offers'>
      {rows.map(([title, items]) =>
        items.length === 0 ? null : (
          <div key={title}>
            <dt>{title}</dt>
            {items.map((item) => (
              <dd key={item} dir='auto'>
                {item}
              </dd>
            ))}
          </div>
        ),
      )}
    </dl>
  )
}
