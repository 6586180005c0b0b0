// ThemeSwitch: light, dark, or as the system. The choice belongs to the browser, not to a user; theme.js applies it.
import { useState } from 'react'
import { BrowserStorage } from './browser-storage.ts'

const KEY = 'parley.theme'
const THEMES = { system: 'System', light: 'Light', dark: 'Dark' } as const
type Theme = keyof typeof THEMES

const storage = new BrowserStorage(() => window.localStorage)

export function ThemeSwitch() {
  const [theme, setTheme] = useState(() => {
    const stored = storage.read(KEY)
    return stored === 'light' || stored === 'dark' ? stored : 'system'
  })
  const choose = (chosen: Theme): void => {
    setTheme(chosen)
    storage.write(KEY, chosen === 'system' ? undefined : chosen)
    window.dispatchEvent(new Event(KEY))
  }
  return (
    <label className='theme'>
      Theme{' '}
      <select value={theme} onChange={({ target }) => choose(target.value as Theme)}>
        {Object.entries(THEMES).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  )
}
