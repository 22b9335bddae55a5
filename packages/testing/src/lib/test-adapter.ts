import { afterAll, beforeAll, describe } from 'vitest'
import type { Serve } from './adapter-app.ts'
import { createBench, type AdapterOptions } from './test-adapter-bench.ts'
import { bodyQuestions } from './test-adapter-body.ts'
import { challengeQuestions } from './test-adapter-challenge.ts'
import { credentialQuestions } from './test-adapter-credential.ts'
import { deliveryQuestions } from './test-adapter-delivery.ts'
import { disconnectQuestions } from './test-adapter-disconnect.ts'
import { faultQuestions } from './test-adapter-faults.ts'
import { goneQuestions } from './test-adapter-gone.ts'
import { headerQuestions } from './test-adapter-headers.ts'
import { keyQuestions } from './test-adapter-key.ts'
import { lastQuestions } from './test-adapter-last.ts'
import { methodQuestions } from './test-adapter-method.ts'
import { mistakeQuestions } from './test-adapter-mistakes.ts'
import { onceQuestions } from './test-adapter-once.ts'
import { outageQuestions } from './test-adapter-outage.ts'
import { outcomeQuestions } from './test-adapter-outcome.ts'
import { priceQuestions } from './test-adapter-price.ts'
import { pushQuestions } from './test-adapter-push.ts'
import { scopeQuestions } from './test-adapter-scope.ts'
import { streamQuestions } from './test-adapter-stream.ts'
import { timeQuestions } from './test-adapter-time.ts'
import { wireQuestions } from './test-adapter-wire.ts'

/**
 * Asks an adapter everything that a buyer can see over a socket. The suite owns the prices and the questions; `serve`
 * only shows how the framework mounts and answers.
 *
 * @param options.expectedFailures By key of the question (in brackets in its title): why the framework cannot meet it.
 */
export function testAdapter(name: string, serve: Serve, options: AdapterOptions = {}): void {
  describe(`adapter ${name}`, () => {
    const bench = createBench(options)
    beforeAll(() => bench.start(serve))
    afterAll(() => bench.stop())

    describe('challenge', () => challengeQuestions(bench))
    describe('credential', () => credentialQuestions(bench))
    describe('scope', () => scopeQuestions(bench))
    describe('body', () => bodyQuestions(bench))
    describe('delivery', () => deliveryQuestions(bench))
    describe('outcome', () => outcomeQuestions(bench))
    describe('stream', () => streamQuestions(bench))
    describe('disconnect', () => disconnectQuestions(bench))
    describe('gone', () => goneQuestions(bench))
    describe('once', () => onceQuestions(bench))
    describe('idempotency key', () => keyQuestions(bench))
    describe('time', () => timeQuestions(bench))
    describe('faults', () => faultQuestions(bench))
    describe('outage', () => outageQuestions(bench))
    describe('push', () => pushQuestions(bench))
    describe('price', () => priceQuestions(bench))
    describe('headers', () => headerQuestions(bench))
    describe('method', () => methodQuestions(bench))
    describe('wire', () => wireQuestions(bench))
    describe('mistakes', () => mistakeQuestions(bench, serve))
    describe('at last', () => lastQuestions(bench))
  })
}
