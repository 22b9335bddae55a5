/** Runs a property on a hundred random cases, the same ones every time. */
export function fc(property: (random: (below: number) => number) => void): void {
  let state = 0x9e3779b9
  const random = (below: number) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) >>> 0
    return state % below
  }
  for (let i = 0; i < 100; i++) property(random)
}
