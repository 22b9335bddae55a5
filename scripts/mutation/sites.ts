import { createHash } from 'node:crypto'
import { stripTypeScriptTypes } from 'node:module'
import { parse } from 'acorn'

/** What is done to the code. */
export type Kind =
  | 'negated condition'
  | 'dropped statement'
  | 'early return'
  | 'comparison'
  | 'equality'
  | 'and/or'
  | 'fallback'
  | 'negation'
  | 'constant'
  | 'boolean'
  | 'string'
  | 'arithmetic'
  | 'await'

/** One mechanical change of a source file. */
export interface Mutant {
  /** Stays the same while the code around the change does, wherever it moves to. */
  id: string
  file: string
  line: number
  kind: Kind
  /** The innermost named function. */
  within: string
  /** In the file as it is. Equal: the replacement is inserted. */
  start: number
  end: number
  original: string
  replacement: string
  shape: 'expression' | 'statement' | 'insertion'
}

interface Node {
  type: string
  start: number
  end: number
  [key: string]: unknown
}

interface Place {
  parents: readonly Node[]
  within: string
}

const COMPARISONS: Record<string, string> = { '<': '<=', '<=': '<', '>': '>=', '>=': '>' }
const EQUALITIES: Record<string, string> = { '===': '!==', '!==': '===' }
const ARITHMETIC: Record<string, string> = { '+': '-', '-': '+', '*': '/', '/': '*', '%': '*' }
const LOGIC: Record<string, string> = { '&&': '||', '||': '&&' }

/** Everything that can mechanically go wrong in a file. Types are blanked, not removed, so places in both texts are the same. */
export function mutantsOf(file: string, source: string): Mutant[] {
  const code = stripTypeScriptTypes(source)
  if (code.length !== source.length) throw new Error(`${file}: stripping its types moves its code`)
  const root = parse(code, { ecmaVersion: 'latest', sourceType: 'module' }) as unknown as Node
  const mutants: Mutant[] = []
  const seen = new Map<string, number>()
  const lineAt = lineCounter(source)

  visit(root, { parents: [], within: '' })
  return mutants

  function visit(node: Node, place: Place): void {
    if (isTestHook(node, code) || node.type === 'ImportDeclaration') return
    propose(node, place)
    const within = nameOf(node, place.parents.at(-1)) ?? place.within
    const parents = [...place.parents, node]
    for (const [key, value] of Object.entries(node)) {
      // A key names, it does nothing.
      if (key === 'key' && node['computed'] !== true) continue
      for (const child of Array.isArray(value) ? (value as unknown[]) : [value])
        if (isNode(child)) visit(child, { parents, within })
    }
  }

  function propose(node: Node, { parents, within }: Place): void {
    const parent = parents.at(-1)
    const text = (of: unknown): string => source.slice((of as Node).start, (of as Node).end)
    const change = (
      kind: Kind,
      replacement: string,
      shape: Mutant['shape'] = 'expression',
      span: { start: number; end: number } = node,
    ): void => {
      const at = { start: span.start, end: withCast(source, code, span.end) }
      const original = source.slice(at.start, at.end)
      const context = squeeze(parent ? text(parent) : original).slice(0, 160)
      const print = [file, within, kind, context, squeeze(original), squeeze(replacement)].join('\n')
      const count = seen.get(print) ?? 0
      seen.set(print, count + 1)
      const id = createHash('sha256')
        .update(`${print}\n${String(count)}`)
        .digest('hex')
        .slice(0, 10)
      const line = lineAt(at.start)
      mutants.push({ id, file, line, kind, within, ...at, original, replacement, shape })
    }
    const whole = { start: node.start, end: node.end }
    const drop = (): void => change('dropped statement', '{}', 'statement', whole)

    switch (node.type) {
      case 'IfStatement':
        if (!node['alternate']) drop()
        negate(node['test'] as Node)
        return
      case 'ConditionalExpression':
      case 'WhileStatement':
        negate(node['test'] as Node)
        return
      case 'ExpressionStatement':
        if (!text(node).startsWith('super(')) drop()
        return
      case 'ThrowStatement':
      case 'BreakStatement':
      case 'ContinueStatement':
        drop()
        return
      case 'ReturnStatement':
        if (!node['argument']) drop()
        return
      case 'BinaryExpression':
        binary()
        return
      case 'LogicalExpression': {
        const operator = node['operator'] as string
        const [left, right] = [text(node['left']), text(node['right'])]
        if (operator === '??') change('fallback', left)
        else change('and/or', `(${left}) ${LOGIC[operator]} (${right})`)
        return
      }
      case 'UnaryExpression':
        if (node['operator'] === '!' && !isTest(node, parent)) change('negation', text(node['argument']))
        return
      case 'AwaitExpression':
        if (parent?.type === 'ExpressionStatement') change('await', text(node['argument']))
        return
      case 'AssignmentExpression': {
        const operator = node['operator'] as string
        const swapped = { '+=': '-=', '-=': '+=', '??=': '=', '||=': '=' }[operator]
        if (swapped && !isText(node['right']))
          change('arithmetic', `${text(node['left'])} ${swapped} ${text(node['right'])}`)
        return
      }
      case 'UpdateExpression': {
        const other = node['operator'] === '++' ? '--' : '++'
        const target = text(node['argument'])
        change('arithmetic', node['prefix'] ? other + target : target + other)
        return
      }
      case 'CallExpression': {
        const callee = text(node['callee'])
        const other = { 'Math.max': 'Math.min', 'Math.min': 'Math.max' }[callee]
        if (other) change('arithmetic', text(node).replace(callee, other))
        return
      }
      case 'TemplateLiteral':
        if (
          !isProse((node['quasis'] as { value: { raw: string } }[]).map(({ value }) => value.raw).join('x'))
        )
          change('string', "''")
        return
      case 'Literal':
        literal()
        return
      case 'FunctionDeclaration':
      case 'FunctionExpression':
      case 'ArrowFunctionExpression': {
        const body = node['body'] as Node
        if (body.type !== 'BlockStatement' || parent?.['kind'] === 'constructor') return
        if ((body['body'] as Node[]).length > 1 && !returnsValue(body))
          change('early return', ' return;', 'insertion', { start: body.start + 1, end: body.start + 1 })
        return
      }
      default:
    }

    function negate(test: Node): void {
      const own = test['operator'] as string | undefined
      // The same as to change its operator.
      if (test.type === 'BinaryExpression' && own !== undefined && own in EQUALITIES) return
      const positive = test.type === 'UnaryExpression' && own === '!'
      change('negated condition', positive ? text(test['argument']) : `!(${text(test)})`, 'expression', {
        start: test.start,
        end: test.end,
      })
    }

    function binary(): void {
      const operator = node['operator'] as string
      const [left, right] = [text(node['left']), text(node['right'])]
      const swap = (kind: Kind, other: string): void => change(kind, `${left} ${other} ${right}`)
      if (operator in COMPARISONS) swap('comparison', COMPARISONS[operator]!)
      else if (operator in EQUALITIES) swap('equality', EQUALITIES[operator]!)
      else if (operator in ARITHMETIC && !isText(node['left']) && !isText(node['right']))
        swap('arithmetic', ARITHMETIC[operator]!)
    }

    function literal(): void {
      const { value } = node as unknown as { value: unknown }
      if (typeof value === 'boolean') change('boolean', String(!value))
      else if (typeof value === 'string' && value !== '' && !isProse(value)) {
        if (parent?.type !== 'ExportNamedDeclaration') change('string', "''")
      } else if (typeof value === 'number') {
        // One more or less of something large is too little to matter, unless it is a status.
        const large = value >= 60 && !(value >= 100 && value < 600)
        change('constant', String(large ? value * 10 : value + 1))
        if (value > 0) change('constant', String(large ? Math.ceil(value / 10) : value - 1))
      }
    }
  }
}

/** The end of a node together with the cast behind it, which is blank in the code. */
function withCast(source: string, code: string, end: number): number {
  if (!/^(?:!| +as | +satisfies )/.test(source.slice(end, end + 20)) || !/^\s/.test(code.slice(end)))
    return end
  let last = end
  for (let at = end; at < code.length && /\s/.test(code[at]!) && !source.startsWith('\n\n', at); at++)
    if (source[at] !== code[at]) last = at + 1
  return last
}

/** For people: not a word of it is behaviour. */
function isProse(text: string): boolean {
  return /^mppkit: |[A-Za-z]+ [a-z]+ [a-z]+|^[A-Z][a-z]+( [A-Z][a-z]+)+$/.test(text)
}

/** What runs only when a test asks for it. */
function isTestHook(node: Node, code: string): boolean {
  if (node.type !== 'IfStatement') return false
  const test = node['test'] as Node
  return /^(?:this\.#)?probe$/.test(code.slice(test.start, test.end))
}

function isTest(node: Node, parent: Node | undefined): boolean {
  return parent?.['test'] === node
}

function isText(node: unknown): boolean {
  const { type, value, operator, left, right } = node as Node
  if (type === 'BinaryExpression' && operator === '+') return isText(left) || isText(right)
  return type === 'TemplateLiteral' || typeof value === 'string'
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
}

function nameOf(node: Node, parent: Node | undefined): string | undefined {
  if (node.type === 'ClassDeclaration') return (node['id'] as { name: string }).name
  if (!/Function/.test(node.type)) return undefined
  const named = (node['id'] ?? parent?.['key'] ?? (parent?.type === 'VariableDeclarator' && parent['id'])) as
    | { name?: string }
    | false
    | undefined
  return (named && named.name) || undefined
}

/** In the function itself, not in those that it makes. */
function returnsValue(node: Node): boolean {
  if (node.type === 'ReturnStatement') return Boolean(node['argument'])
  return Object.values(node)
    .flat()
    .some((child) => isNode(child) && !/Function/.test(child.type) && returnsValue(child))
}

function squeeze(text: string): string {
  return text.replace(/\s+/g, ' ')
}

function lineCounter(source: string): (at: number) => number {
  const starts = [0]
  for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) starts.push(at + 1)
  return (at) => starts.findLastIndex((start) => start <= at) + 1
}
