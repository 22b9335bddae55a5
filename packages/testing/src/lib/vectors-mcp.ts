import {
  createBinding,
  MCP_INVALID_PARAMS,
  MCP_PAYMENT_REQUIRED,
  MCP_VERIFICATION_FAILED,
  parseTime,
  readMcpCredential,
} from '@mppkit/core'

/** What a server does with a message, in the words of the vectors. */
export interface McpOutcome {
  next?: 'verification'
  errorCode?: number
  result?: true
  receipt?: false
  response?: null
  executed?: false
}

const SECRETS: Record<string, string> = {
  S1: 'mpp-conformance-secret-S1-0123456789abcdef',
  S2: 'mpp-conformance-secret-S2-fedcba9876543210',
  S3: 'clé-secrète-日本語-🔑-0123456789abcdef',
}

/**
 * The steps of an MCP server up to the verification of the proof. `context` names the free operations
 * (`"free" does not`) and the secret (`secret S1`).
 */
export async function answerMcp(context: string, message: unknown, now: number): Promise<McpOutcome> {
  if (typeof message === 'string') {
    try {
      return await answerMcp(context, JSON.parse(message) as unknown, now)
    } catch {
      return { errorCode: -32700 }
    }
  }
  if (isFree(context, message)) return { result: true, receipt: false }
  const reading = readMcpCredential(message)
  switch (reading.kind) {
    case 'notification':
      return { response: null, executed: false }
    case 'absent':
      return { errorCode: MCP_PAYMENT_REQUIRED }
    case 'malformed':
      return { errorCode: MCP_INVALID_PARAMS }
    case 'credential': {
      const { challenge } = reading.credential
      const secret = SECRETS[/secret (S[0-9])/.exec(context)?.[1] ?? 'S1']!
      const isBound = await createBinding([secret]).verify(challenge)
      const expires = challenge.expires === undefined ? undefined : parseTime(challenge.expires)
      const isLive = expires !== undefined && now < expires
      return isBound && isLive ? { next: 'verification' } : { errorCode: MCP_VERIFICATION_FAILED }
    }
  }
}

function isFree(context: string, message: unknown): boolean {
  const params = (message as { params?: { name?: unknown } } | null)?.params
  return typeof params?.name === 'string' && context.includes(`"${params.name}" does not`)
}
