// `pawl.logger`: its lines say which workflow and step they are from, and of which trace, whatever logger is behind it.
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { trace } from '@opentelemetry/api';
import { describeEachDriver, quiet } from '@pawl/test-support/drivers';
import pino from 'pino';
import { afterAll, expect, test } from 'vitest';
import { startSdk } from './sdk.ts';

const sdk = startSdk();
afterAll(() => sdk.stop());

/** Somewhere to write to, and what was written. */
function sink(): { stream: Writable; lines: () => string[] } {
  let text = '';
  const stream = new Writable({
    write: (chunk, _, done) => {
      text += String(chunk);
      done();
    },
  });
  return { stream, lines: () => text.trim().split('\n') };
}

describeEachDriver('logs', (driver) => {
  test('a line of pino has the workflow, the step and the trace as fields', async () => {
    const { stream, lines } = sink();
    const pawl = await driver.launch({ logger: pino({ base: null }, stream) });
    const talking = pawl.registerWorkflow(
      async () => {
        pawl.logger.info('in the body');
        await pawl.runStep(() => pawl.logger.warn({ order: 7 }, 'in a step of %s', 'two'), { name: 'talk' });
        pawl.logger.error(new RangeError('as pino likes it'));
      },
      { name: 'talking' },
    );
    pawl.logger.info('outside');
    await (await pawl.startWorkflow(talking, { workflowID: 'w' })()).getResult();
    const said = lines()
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => /^(outside|in|as)/.test(String(msg)));
    const run = await sdk.one('run talking');
    const step = await sdk.one('step talk');
    const at = { time: expect.any(Number) as number };
    expect(said).toEqual([
      { ...at, level: 30, msg: 'outside' },
      { ...at, level: 30, msg: 'in the body', workflowID: 'w', trace_id: run.traceID, span_id: run.spanID },
      {
        ...at,
        ...{ level: 40, msg: 'in a step of two', workflowID: 'w', stepID: 0, order: 7 },
        ...{ trace_id: run.traceID, span_id: step.spanID },
      },
      expect.objectContaining({
        msg: 'as pino likes it',
        workflowID: 'w',
        err: expect.objectContaining({ type: 'RangeError' }),
      }),
    ]);
    sdk.reset();
  });

  test('a line of a console has them behind the message, whose format still works', async () => {
    const { stream, lines } = sink();
    const pawl = await driver.launch({ logger: new Console(stream) });
    const talking = pawl.registerWorkflow(async () => pawl.logger.info('%s and %d', 'one', 2), {
      name: 'talking',
    });
    await (await pawl.startWorkflow(talking, { workflowID: 'w' })()).getResult();
    const { traceID } = await sdk.one('run talking');
    const line = lines().join(' ');
    expect(line).toMatch(/^one and 2 \{/);
    expect(line).toContain(`workflowID: 'w'`);
    expect(line).toContain(traceID);
    sdk.reset();
  });

  test('outside of workflows a line has the trace that it is in, or is as it was', async () => {
    const lines: unknown[][] = [];
    const pawl = await driver.launch({ logger: { ...quiet, info: (...args) => lines.push(args) } });
    pawl.logger.info({ a: 1 }, 'plain');
    trace.getTracer('mine').startActiveSpan('mine', (span) => {
      pawl.logger.info('traced');
      span.end();
    });
    const { traceID, spanID } = await sdk.one('mine');
    expect(lines).toEqual([
      [{ a: 1 }, 'plain'],
      [{ trace_id: traceID, span_id: spanID }, 'traced'],
    ]);
    sdk.reset();
  });
});
