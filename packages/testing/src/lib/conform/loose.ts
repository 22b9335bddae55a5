/** A `Payment` challenge as it stands in the field, right or wrong. */
export interface LooseChallenge {
  parameters: LooseParameter[]
  /** The value of the first parameter of this name, in any case. */
  get(name: string): string | undefined
}

export interface LooseParameter {
  name: string
  /** Unquoted. */
  value: string
  quoted: boolean
}

const SCHEME = /(?:^|,\s*)(payment)(?=\s|$)/gi
const PARAMETER = /([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))/g

/**
 * What can be made out of `WWW-Authenticate` lines, however broken: to say what is wrong with a challenge, one must be able
 * to read it. What a buyer would make of them is `parseChallenges` of `@mppkit/core`.
 */
export function readLoosely(lines: readonly string[]): LooseChallenge[] {
  return lines.flatMap((whole) => {
    const line = whole.slice(0, 32_768)
    // Quoted text may hold anything, the name of the scheme too.
    const veiled = line.replaceAll(/"(?:[^"\\]|\\.)*"/g, (quoted) => `"${'_'.repeat(quoted.length - 2)}"`)
    const starts = [...veiled.matchAll(SCHEME)].map((found) => found.index + found[0].length)
    return starts.map((start, index) => {
      const until = starts[index + 1] ?? line.length
      const parameters = [...line.slice(start, until).matchAll(PARAMETER)].map(
        ([, name = '', quoted, token = '']): LooseParameter => ({
          name,
          value: quoted?.replaceAll(/\\(.)/g, '$1') ?? token,
          quoted: quoted !== undefined,
        }),
      )
      return {
        parameters,
        get: (name) => parameters.find((own) => own.name.toLowerCase() === name)?.value,
      }
    })
  })
}
