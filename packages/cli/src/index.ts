export { run, type Surroundings } from './lib/run.ts'
