import type { Gate, Grant } from '@mppkit/server'

/** Without the guard "kept before the first byte": the answer leaves first, and is written down a moment later. */
export function lateKeeping(gate: Gate): Gate {
  const open: (...rest: Parameters<Gate>) => ReturnType<Gate> = async (request) => {
    const opening = await gate(request)
    if (opening.kind !== 'admit') return opening
    return {
      kind: 'admit',
      async admit() {
        const decision = await opening.admit()
        return decision.kind === 'proceed' ? { kind: 'proceed', grant: late(decision.grant) } : decision
      },
    }
  }
  return Object.assign(open, { offers: gate.offers })
}

function late(grant: Grant): Grant {
  return {
    payment: grant.payment,
    keeps: grant.keeps,
    headers: (status) => grant.headers(status),
    keep(answer) {
      setTimeout(() => void grant.keep(answer), 30)
      return Promise.resolve()
    },
    finish: (outcome) => grant.finish(outcome),
  }
}
