// Formulas of strangers: what becomes MathML, and what stays text.
import { describe, expect, it } from 'vitest'
import { type MathTree, mathTree } from './math-tree.ts'
import { MAX_TEX, renderMath } from './render-math.ts'

function names(tree: MathTree | undefined): readonly string[] {
  return typeof tree === 'object' ? [tree.name, ...tree.children.flatMap(names)] : []
}

describe('a formula', () => {
  it('becomes a tree of MathML', () => {
    expect(renderMath('\\frac{a}{2}', false)).toEqual({
      name: 'math',
      props: {},
      children: [
        {
          name: 'mfrac',
          props: {},
          children: [
            { name: 'mi', props: {}, children: ['a'] },
            { name: 'mn', props: {}, children: ['2'] },
          ],
        },
      ],
    })
    expect(renderMath('x', true)?.props).toMatchObject({ display: 'block', style: { display: 'block math' } })
    const aligned = '\\begin{aligned} a &< b \\\\ \\color{red}{c} &= \\text{"d" & e} \\end{aligned}'
    expect(names(renderMath(aligned.replace('& e', '\\& e'), true))).toContain('mtable')
  })

  it.each([
    ['invalid TeX', '\\frac{'],
    ['a link', '\\href{javascript:alert(1)}{x}'],
    ['an image', '\\includegraphics{https://tracker.example/a.png}'],
    ['a class', '\\class{a}{b}'],
    ['a reference', '\\ref{a}'],
    ['a macro without end', '\\def\\a{\\a}\\a'],
    ['macros that multiply', `\\def\\a{xx}${'\\edef\\a{\\a\\a}'.repeat(20)}\\a`],
    ['a shift out of its place', '\\kern-500em x'],
    ['a high shift', '\\raisebox{-300em}{x}'],
    ['deep nesting', `${'\\sqrt{'.repeat(100)}${'}'.repeat(100)}`],
    ['very deep nesting', `${'{'.repeat(1_900)}${'}'.repeat(1_900)}`],
    ['many elements', 'x^2'.repeat(1_300)],
    ['a long text', 'x'.repeat(MAX_TEX + 1)],
  ])('with %s stays text', (_, tex) => {
    expect(renderMath(tex, true)).toBeUndefined()
  })

  it('is as large as the page allows', () => {
    expect(JSON.stringify(renderMath('\\rule{9999em}{9999em}', true))).toContain('"width":"30em"')
  })
})

describe('markup that the renderer should not create', () => {
  it.each([
    '<script>alert(1)</script>',
    '<math><mtext><img src="x"></mtext></math>',
    '<math><a href="javascript:x"><mi>x</mi></a></math>',
    '<math><mi style="color:url(https://tracker.example)">x</mi></math>',
    '<math><mi style="margin-left:-99em">x</mi></math>',
    '<mi>x</mi>',
    'x',
  ])('%s is no formula', (markup) => {
    expect(mathTree(markup)).toBeUndefined()
  })

  it('has only known attributes and styles', () => {
    const tree = mathTree(
      '<math id="a" onclick="b" href="c" display="block"><mi style="position:fixed;color:red">&lt;</mi></math>',
    )
    expect(tree).toEqual({
      name: 'math',
      props: { display: 'block' },
      children: [{ name: 'mi', props: { style: { color: 'red' } }, children: ['<'] }],
    })
  })
})
