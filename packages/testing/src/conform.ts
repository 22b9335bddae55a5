export {
  conform,
  judge,
  playMoney,
  questions,
  subjectOf,
  type ConformOptions,
  type Report,
} from './lib/conform/conform.ts'
export {
  check,
  fault,
  Fault,
  levelOf,
  skip,
  Skip,
  type Question,
  type Verdict,
} from './lib/conform/question.ts'
export { servedYet } from './lib/conform/ask-once.ts'
export {
  contentOf,
  tokenOf,
  withField,
  type Payer,
  type Signed,
  type Subject,
} from './lib/conform/subject.ts'
export { brief, codeOf, hasDirective, isServed } from './lib/conform/tell.ts'
export { exchange, isLoopback, NoAnswer, placeOf, bytesOf, type Place } from './lib/conform/wire.ts'
