// Questions: asks the person what the running tools of a session ask, one question and one field of its form after the other.
import type { FormContent, FormField } from '@parley/protocol'
import { choicesOf, formProblem } from '@parley/protocol/form/form-check'
import { type CallView, openQuestion, type QuestionView, type Session, type SessionView } from '../index.ts'
import { openCalls } from '../session/open-calls.ts'

interface Asked {
  readonly call: CallView
  readonly question: QuestionView
  readonly fields: readonly (readonly [string, FormField])[]
  readonly content: FormContent
}

const DECLINE = '/decline'

export class Questions {
  readonly #session: Session
  readonly #answered = new Set<string>()
  #asked: Asked | undefined

  constructor(session: Session) {
    this.#session = session
  }

  /** Whether the next line is for a question. */
  get isAsking(): boolean {
    return this.#asked !== undefined
  }

  /** @returns what to print, if there is a new question */
  next(view: SessionView): readonly string[] {
    const isOpen = (id: string, call: CallView | undefined): boolean =>
      call !== undefined && openQuestion(call)?.id === id
    if (this.#asked !== undefined) {
      if (isOpen(this.#asked.question.id, view.calls.get(this.#asked.call.id))) return []
      this.#asked = undefined
    }
    const call = openCalls(view).find((open) => {
      const question = openQuestion(open)
      return question !== undefined && !this.#answered.has(question.id)
    })
    const question = call && openQuestion(call)
    if (call === undefined || question === undefined) return []
    return [`${call.name} asks: ${question.message} (${DECLINE} to refuse)`, this.#begin(call, question)]
  }

  /**
   * Takes a line of the person.
   * @returns what to print next; or the sending of the answer, which may be refused
   */
  line(text: string): readonly string[] | Promise<void> {
    const asked = this.#asked
    if (asked === undefined) return []
    if (text === DECLINE) return this.#send(asked, 'decline')
    const [field, ...rest] = asked.fields
    // A question without a form.
    if (field === undefined) return /^y(es)?$/i.test(text) ? this.#send(asked, 'accept') : this.#send(asked, 'decline')
    const [name, form] = field
    const { required = [] } = asked.question.schema
    let { content } = asked
    if (text === '') {
      if (form.default !== undefined) content = { ...content, [name]: form.default }
      else if (required.includes(name)) return [`${name} is required`, this.#label(field)]
    } else {
      const value = parsed(form, text)
      const problem = formProblem({ type: 'object', properties: { [name]: form } }, { [name]: value })
      if (problem !== undefined) return [problem, this.#label(field)]
      content = { ...content, [name]: value }
    }
    this.#asked = { ...asked, fields: rest, content }
    return rest[0] === undefined ? this.#send(this.#asked, 'accept') : [this.#label(rest[0])]
  }

  #begin(call: CallView, question: QuestionView): string {
    const fields = Object.entries(question.schema.properties)
    this.#asked = { call, question, fields, content: {} }
    return fields[0] === undefined ? 'Confirm? (y/n)' : this.#label(fields[0])
  }

  #label([name, field]: readonly [string, FormField]): string {
    const choices = choicesOf(field)?.map(({ value, title }) => (value === title ? value : `${value}: ${title}`))
    const notes = [
      ...(choices === undefined ? [] : [`${field.type === 'array' ? 'some of ' : ''}${choices.join(', ')}`]),
      ...(field.type === 'boolean' ? ['y/n'] : []),
      ...(field.default === undefined ? [] : [`default ${[field.default].flat().join(', ')}`]),
      ...(this.#asked?.question.schema.required?.includes(name) === true ? [] : ['optional']),
    ]
    return `${field.title ?? name}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}:`
  }

  /** An earlier answer of someone else wins. */
  async #send({ call, question, content }: Asked, action: 'accept' | 'decline'): Promise<void> {
    this.#asked = undefined
    this.#answered.add(question.id)
    await this.#session.answer(call.id, question.id, action, action === 'accept' ? content : undefined)
  }
}

function parsed(field: FormField, text: string): FormContent[string] {
  switch (field.type) {
    case 'boolean':
      return /^(y|yes|true)$/i.test(text) ? true : /^(n|no|false)$/i.test(text) ? false : text
    case 'number':
    case 'integer':
      return Number(text)
    case 'array':
      return text
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '')
    case 'string':
      return text
  }
}
