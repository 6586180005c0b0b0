// Footnotes: GFM's footnotes for micromark, and their numbers. The definitions move to the end of the text. Pure.
import type { FootnoteDefinition, FootnoteReference, Parent } from 'mdast'
import { gfmFootnote } from 'micromark-extension-gfm-footnote'
import { markdownLineEndingOrSpace } from 'micromark-util-character'
import type { Code, Construct, Extension, TokenizeContext } from 'micromark-util-types'
import { shallow } from './shallow-containers.ts'

export interface Footnotes extends Parent {
  type: 'footnotes'
  children: FootnoteDefinition[]
}

declare module 'mdast' {
  interface RootContentMap {
    footnotes: Footnotes
  }
  interface FootnoteReference {
    /** From 1. */
    number?: number
    /** How many references to the same footnote precede this one. */
    uses?: number
  }
  interface FootnoteDefinition {
    /** From 1; undefined if nothing refers to it. */
    number?: number
    /** How many references there are. */
    uses?: number
  }
}

/**
 * @param growing whether the source is a part of a growing text: its definitions may be in another part or still to come, so that
 * every reference becomes one
 */
export function footnoteSyntax(growing: boolean): Extension {
  const { document = {}, text = {} } = gfmFootnote()
  const call = text[91] as Construct
  // The construct for `![^a]` searches all events at every bracket, which takes long.
  return {
    document: { 91: shallow(indented(document[91] as Construct)) },
    text: { 91: growing ? undefinedToo(call) : call },
  }
}

/**
 * The construct, whose further lines are indented by four columns for each level. The original takes the indentation of an outer
 * definition for that of all inner ones, so that a text of n lines nests n definitions.
 */
function indented(construct: Construct): Construct {
  const { continuation } = construct
  return {
    ...construct,
    continuation: continuation && {
      ...continuation,
      tokenize(effects, ok, nok) {
        const before = this.events.length
        const isOwn = (code: Code): boolean => this.events.length > before || markdownLineEndingOrSpace(code)
        return continuation.tokenize.call(this, effects, (code) => (code === null || isOwn(code) ? ok : nok)(code), nok)
      },
    },
  }
}

/** The construct, for references to footnotes that are not defined as well. */
function undefinedToo(construct: Construct): Construct {
  return {
    ...construct,
    tokenize(effects, ok, nok) {
      const parser = Object.create(this.parser, { gfmFootnotes: { value: { includes: () => true } } })
      const context: TokenizeContext = Object.create(this, { parser: { value: parser } })
      return construct.tokenize.call(context, effects, ok, nok)
    },
  }
}

/**
 * Numbers the footnotes by their first reference.
 * @param references in the order of the text @returns the definitions by their number, then those without a reference
 */
export function numbered(
  references: readonly FootnoteReference[],
  definitions: readonly FootnoteDefinition[],
): FootnoteDefinition[] {
  const byName = new Map<string, FootnoteDefinition>()
  for (const definition of definitions) {
    if (!byName.has(definition.identifier)) byName.set(definition.identifier, definition)
  }
  let count = 0
  for (const reference of references) {
    const definition = byName.get(reference.identifier)
    if (definition === undefined) continue
    if (definition.number === undefined) count += 1
    definition.number ??= count
    reference.number = definition.number
    reference.uses = definition.uses ?? 0
    definition.uses = reference.uses + 1
  }
  const numberOf = ({ number }: FootnoteDefinition): number => number ?? count + 1
  return [...definitions].sort((a, b) => numberOf(a) - numberOf(b))
}
