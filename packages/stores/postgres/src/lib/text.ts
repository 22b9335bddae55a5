// PostgreSQL cannot hold U+0000 in text, nor half of a surrogate pair. Both are written as DLE ("data link escape") and
// four hexadecimal digits, and so is DLE itself: everything else stands in the table as it is, readable and in order.
// oxlint-disable-next-line no-control-regex -- they are what this is about
const unstorable = /[\0\u0010\p{Surrogate}]/u
const everyUnstorable = new RegExp(unstorable, 'gu')

/** Text as it is kept in the table; two texts that differ do so there too. */
export function encodeText(text: string): string {
  if (!unstorable.test(text)) return text
  return text.replace(everyUnstorable, (char) => `\u0010${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** What `encodeText` was given. */
export function decodeText(text: string): string {
  if (!text.includes('\u0010')) return text
  // oxlint-disable-next-line no-control-regex -- as above
  return text.replace(/\u0010([0-9a-f]{4})/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)))
}
