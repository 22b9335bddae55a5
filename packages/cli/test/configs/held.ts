import { createServer } from 'node:net'
import { options as good } from './good.ts'

// As the client of a database does, it keeps the process alive.
createServer().listen(0, '127.0.0.1')

export const options = good
