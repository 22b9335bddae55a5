/** `node:crypto` where the runtime has it, without importing it: neutral entries must load anywhere. */
export const nodeCrypto: typeof import('node:crypto') | undefined = findNodeCrypto()

function findNodeCrypto(): typeof import('node:crypto') | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(id: string): unknown } }
  try {
    return process?.getBuiltinModule?.('node:crypto') as typeof import('node:crypto') | undefined
  } catch {
    // Next's edge runtime has the function, and it throws.
    return undefined
  }
}
