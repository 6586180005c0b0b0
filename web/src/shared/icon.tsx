// Icon: decorative icons. They accompany a text and never replace it.

const PATHS = {
  plus: 'M8 3v10M3 8h10',
  link: 'M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2.2-2.2a2.6 2.6 0 0 0-3.7-3.7L8 4.3M9.2 6.8a2.6 2.6 0 0 0-3.7 0L3.3 9A2.6 2.6 0 0 0 7 12.7l1-1',
  check: 'M3 8.5 6.5 12 13 4.5',
  copy: 'M5.5 5.5h7.5V13H5.5zM10.5 5.5V3H3v7.5h2.5',
  list: 'M2.5 4h11M2.5 8h11M2.5 12h7',
  close: 'M4 4l8 8M12 4l-8 8',
  send: 'M8 13V3M3.5 7.5 8 3l4.5 4.5',
  stop: 'M4.5 4.5h7v7h-7z',
  down: 'M8 3v10M3.5 8.5 8 13l4.5-4.5',
  tool: 'M10.2 2.6a3.6 3.6 0 0 0-3.4 4.9L2.6 11.7a1.2 1.2 0 0 0 1.7 1.7L8.5 9.2a3.6 3.6 0 0 0 4.7-4.4l-2.1 2.1-1.9-.4-.4-1.9 2.1-2.1a3.6 3.6 0 0 0-.7.1z',
  clock: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3l2 1.5',
  file: 'M4 2.5h5l3 3v8H4zM9 2.5v3h3',
  more: 'M3.5 8v.01M8 8v.01M12.5 8v.01',
  people:
    'M6 7.5a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6zM1.8 13c0-2.4 1.8-3.8 4.2-3.8s4.2 1.4 4.2 3.8M10.8 3.3a2.2 2.2 0 0 1 0 4M12 9.5c1.4.5 2.3 1.7 2.3 3.5',
  eye: 'M1.8 8S4 3.8 8 3.8 14.2 8 14.2 8 12 12.2 8 12.2 1.8 8 1.8 8zM8 9.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6z',
  edit: 'M3 13l.7-3L10.5 3.2a1.4 1.4 0 0 1 2 0l.3.3a1.4 1.4 0 0 1 0 2L6 12.3zM9.3 4.4l2.3 2.3',
  refresh: 'M12.8 6.5A5.2 5.2 0 1 0 13 9.6M13.2 3.2v3.5H9.7',
  left: 'M10 3.5 5.5 8l4.5 4.5',
  right: 'M6 3.5 10.5 8 6 12.5',
  info: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 7.3v3.4M8 5.2v.01',
  search: 'M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4zM10.2 10.2l3.3 3.3',
  up: 'M8 13V3M3.5 7.5 8 3l4.5 4.5',
  warning: 'M8 2.5 14 13H2zM8 6.5V9.5M8 11.3v.1',
} as const

export function Icon({ name }: { readonly name: keyof typeof PATHS }) {
  return (
    <svg className='icon' viewBox='0 0 16 16' width='16' height='16' aria-hidden='true' focusable='false'>
      <path d={PATHS[name]} />
    </svg>
  )
}
