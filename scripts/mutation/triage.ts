/** A mutant that no test can tell from the code, with the reason. By its id, which outlives shifted lines. */
export const equivalents: Readonly<Record<string, string>> = {
  '9c0209bbc8': 'the description of a symbol',
  '786b9c6be5': 'a Fenced is never reported: nobody reads its name',
  '24962a6893': 'only which sentence the detail is',
  ed61d2a413: 'the way for requests with a body gives the same answer, later',
  '1a419b7065': 'a HEAD has no body to be read: the way for bodies gives the same answer, later',
  '4f957ca71a': 'decoded once more at every reading',
  '2bee61a7bf': 'no queue: the time is never compared',
  '1186114aa3': 'no lease: the first millisecond of 1970 is over as well',
  '1ce3b00526': 'how large a block may grow is a matter of speed',
  '0950603dee': 'set by the first swap, before anybody compares it',
  d6131d595a: 'read in pieces instead of in one',
  '7afbd1416c':
    'a segment that begins with ";" ends the loop with no dots, which is what is returned otherwise',
  c8e1ec7c7d: 'an unknown action is asked for three times, and then told the same as "wait"',
  cad49843c1: 'whether a record that has vanished is leased is never asked',
  '9b69dd6534': 'anything but "nothing" counts as "some"',
  '8ba03b29a3': 'one amount more or less in a cache',
  '7f5b56646d': 'how much a cache may hold: no answer differs',
  c57a96ce1f: 'timers of no and of one millisecond are the same',
  ab366d5b7c: 'of an upgrade nobody asks how much was handed over',
  fd0f116a28: 'the answer is ended in the same breath, and then says so itself',
  '656bdc467d': 'of a delivered record nobody asks whether an attempt is open',
  d1a413b8c4: 'the block that ends with the place is entered at its end, and left for the next one',
  c61048371f: 'blocks that are never halved hold the same in the same order: a matter of speed',
  be4b145c5c: 'what lies behind in the order is refused for the same reason, later',
  eb64693735: 'a quote in a claim has told its time before',
}

/** Code that a buyer at a socket of Node cannot see at work, and who asks about it instead. */
export interface Elsewhere {
  file: string
  /** Names of functions or classes; all of the file if absent. */
  within?: RegExp
  asked: string
}

const server = 'packages/server/src/lib'
const node = 'packages/adapters/node/src/lib'

export const elsewhere: readonly Elsewhere[] = [
  { file: `${server}/memory-store.ts`, asked: 'testStore' },
  { file: `${server}/recovery.ts`, asked: 'unit tests with the clock of the store' },
  { file: `${server}/renewal.ts`, asked: 'unit tests with a clock' },
  {
    file: `${server}/record.ts`,
    within: /^(?:renew|insist|Fenced|lose|stop|quiet)$/,
    asked: 'unit tests with a clock',
  },
  {
    file: `${server}/record.ts`,
    within: /^(?:claimTtl|proofTtl|ttl)$/,
    asked: 'unit tests with the clock of the store',
  },
  {
    file: `${server}/gates.ts`,
    within: /^(?:check\w+|parseOrigin|storeFor|fail|logError|guarded)$/,
    asked: 'unit tests of what is refused at the start',
  },
  {
    file: `${server}/price.ts`,
    within: /^(?:compilePrice|termsFor|names|example|splitMeta|parseDuration|fail)$/,
    asked: 'unit tests of what is refused at the start',
  },
  {
    file: `${server}/trust.ts`,
    within: /^(?:createPeerReader|parse\w+|inRange)$/,
    asked: 'unit tests of the lists of proxies',
  },
  { file: `${server}/web.ts`, within: /^(?:peerOf|isLoopback|NOBODY)$/, asked: 'the suite on Bun and Deno' },
  {
    file: `${server}/runtime.ts`,
    within: /^(?:newHolder|hash)$/,
    asked: 'unit tests with several processes; the suite on workerd',
  },
  {
    file: `${server}/deliver.ts`,
    within: /^(?:deliver|delivery|send|follow|sentBy|pull|replay|cut)$/,
    asked: 'the seam’s questions, and the suite on runtimes that do not tell how an answer ended',
  },
  {
    file: `${node}/incoming.ts`,
    within: /^(?:signal|hangUp|closed)$/,
    asked: 'unit tests: no gate reads the signal on Node',
  },
  {
    file: `${node}/send.ts`,
    within: /^(?:pump|drained|go)$/,
    asked: 'unit tests: no gate of ours answers with a stream',
  },
]
