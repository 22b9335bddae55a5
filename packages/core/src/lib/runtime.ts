/** `node:crypto` where the runtime has it, without importing it: neutral entries must load anywhere. */
export const nodeCrypto: typeof import('node:crypto') | undefined = (
  globalThis as { process?: { getBuiltinModule?(id: string): unknown } }
).process?.getBuiltinModule?.('node:crypto') as typeof import('node:crypto') | undefined
