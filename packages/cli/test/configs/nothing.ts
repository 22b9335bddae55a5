/** No configuration at all. */
export const answer = 42
