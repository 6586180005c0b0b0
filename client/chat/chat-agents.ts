// ChatAgents: which agent gets a message: the one that `@name` at its beginning names, else the one that the person
// picked, else the server's default.
import { type MeAnswer, mentionedAgent, ParleyError } from '../index.ts'

export interface Addressed {
  readonly text: string
  readonly agent?: string
}

export class ChatAgents {
  /** Resolves when the names of the server's agents are known, or cannot be known. */
  readonly known: Promise<void>
  #names: readonly string[] | undefined
  #picked: string | undefined

  /** @param me asks the server what it offers @param picked the agent of the command line */
  constructor(me: () => Promise<MeAnswer>, picked: string | undefined) {
    this.#picked = picked
    this.known = me().then(
      ({ offers }) => {
        this.#names = offers?.agents.map(({ name }) => name) ?? []
      },
      (error: unknown) => {
        if (!(error instanceof ParleyError)) throw error
        // Then `@name` is text.
        this.#names = []
      },
    )
  }

  get isKnown(): boolean {
    return this.#names !== undefined
  }

  /** The agent of a message. A text that begins with `@` needs the names. */
  addressed(text: string): Addressed {
    const named = mentionedAgent(text, this.#names ?? [])
    if (named !== undefined) return named
    return this.#picked === undefined ? { text } : { text, agent: this.#picked }
  }

  /** Completes `@` or `/agent ` and the beginning of a name, as a line editor asks for it. */
  complete(line: string): [completions: string[], of: string] {
    const [, head, begun = ''] = /^(@|\/agent\s+)(\S*)$/.exec(line) ?? []
    if (head === undefined) return [[], line]
    const names = (this.#names ?? []).filter((name) => name.startsWith(begun))
    return [names.map((name) => `${head}${name} `), line]
  }

  /** Picks the agent of the next messages, once the names are known; '' picks the default. @returns what to print */
  pick(name: string): string {
    const names = this.#names ?? []
    const offered = names.length === 0 ? 'The server offers no agents' : `Agents: ${names.join(', ')}`
    if (name !== '' && !names.includes(name)) return `unknown agent ${name}. ${offered}`
    this.#picked = name === '' ? undefined : name
    return name === '' ? `messages go to the default agent. ${offered}` : `messages go to ${name}`
  }
}
