// Texts whose dollar signs are no formulas, for titles as for the page.
export const DOLLAR_TEXTS: readonly string[] = [
  'It costs $5 and $10.',
  'From $5-$10, or US$5.',
  'between $5 and US$ 10',
  'a $5 bill (or 4$).',
  '$HOME/$USER and $PATH:$HOME',
  'What is $HOME/$USER?',
  "'$name' or '$value'",
  'a $ b $ c',
  '$$$x$$$',
  'one $ alone',
  '$$',
]
