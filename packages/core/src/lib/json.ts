export type JsonValue = null | boolean | number | string | JsonValue[] | { [name: string]: JsonValue }
export type JsonObject = { [name: string]: JsonValue }

/** Strict I-JSON (RFC 7493): no duplicate names, no lone surrogates, finite doubles, nesting at most 64. Throws `SyntaxError`. */
export function parseJson(text: string): JsonValue {
  throw new Error(`pending ${text.length}`)
}

/** RFC 8785 canonical form. Throws `TypeError` for what JSON cannot say (undefined, NaN, bigint, lone surrogates). */
export function canonicalize(value: unknown): string {
  throw new Error(`pending ${typeof value}`)
}
