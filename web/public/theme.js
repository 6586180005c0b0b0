// Sets the page's theme before the first paint: the user's choice, or that of the system. The page blocks on this small
// script, because a theme that follows later would flash. The switch in the page stores a choice and sends `parley.theme`.
;(() => {
  const system = matchMedia('(prefers-color-scheme: dark)')
  const stored = () => {
    try {
      return JSON.parse(localStorage.getItem('parley.theme'))
    } catch {
      return null // Storage is denied, or the value is not the page's own: the system decides.
    }
  }
  const apply = () => {
    const choice = stored()
    const dark = choice === 'dark' || (choice !== 'light' && system.matches)
    document.documentElement.dataset.theme = dark ? 'dark' : 'light'
    for (const meta of document.querySelectorAll('meta[name=theme-color]')) meta.content = dark ? '#16181b' : '#faf9f7'
  }
  apply()
  system.addEventListener('change', apply)
  addEventListener('storage', apply)
  addEventListener('parley.theme', apply)
})()
