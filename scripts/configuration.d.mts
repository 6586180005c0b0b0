// The types of configuration.mjs, for the tests.
export type Topics = Readonly<Record<string, Readonly<Record<string, object>>>>
export function configurationPage(topics: Topics): string
