// Attempts of a step: how many, how far apart, how long each may take, and what is left when they are used up.
import { setTimeout as delay } from 'node:timers/promises';
import {
  ConfigurationError,
  MaxStepRetriesError,
  type Pawl,
  type StepContext,
  type StepOptions,
  StepTimeoutError,
  type Workflow,
} from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, describe, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

describeEachDriver('the attempts of a step', (driver) => {
  let pawl: Pawl;

  beforeAll(async () => {
    pawl = await driver.launch();
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `retries${++made}` });

  /** Runs one step in a workflow of its own. */
  const runStep = <R>(fn: (step: StepContext) => Promise<R> | R, options?: StepOptions): Promise<R> =>
    workflow(async () => pawl.runStep(fn, options))();

  const quick = { retriesAllowed: true, intervalSeconds: 0.001 } as const;

  test('are one unless retries are allowed', async () => {
    let attempts = 0;
    const fails = () => {
      attempts++;
      throw new RangeError('no');
    };
    await expect(runStep(fails)).rejects.toThrow(RangeError);
    await expect(runStep(fails, { maxAttempts: 5 })).rejects.toThrow(RangeError);
    expect(attempts).toBe(2);
  });

  test('end with the first that returns', async () => {
    const seen: number[] = [];
    const result = await runStep(
      ({ attempt, maxAttempts }) => {
        seen.push(attempt);
        if (attempt < 3) throw new Error(`attempt ${attempt}`);
        return { attempt, maxAttempts };
      },
      { ...quick, maxAttempts: 5 },
    );
    expect(result).toEqual({ attempt: 3, maxAttempts: 5 });
    expect(seen).toEqual([1, 2, 3]);
  });

  test('are 3 by default; then MaxStepRetriesError has every error in order', async () => {
    let attempts = 0;
    const failing = runStep(
      () => {
        throw new RangeError(`attempt ${++attempts}`);
      },
      { ...quick, name: 'charge' },
    );
    const error = await failing.then(
      () => undefined,
      (thrown: unknown) => thrown as MaxStepRetriesError,
    );
    expect(error).toBeInstanceOf(MaxStepRetriesError);
    expect(error?.errors.map((e) => (e as Error).message)).toEqual(['attempt 1', 'attempt 2', 'attempt 3']);
    expect(error?.errors.every((e) => e instanceof RangeError)).toBe(true);
    expect(error?.message).toContain('charge');
    expect(attempts).toBe(3);
  });

  test('stop where shouldRetry says no, with that error as it is', async () => {
    const asked: [string, number][] = [];
    let attempts = 0;
    const failing = runStep(
      () => {
        throw new RangeError(`attempt ${++attempts}`);
      },
      {
        ...quick,
        maxAttempts: 9,
        shouldRetry: async (error, attempt) => {
          asked.push([(error as Error).message, attempt]);
          return attempt < 2;
        },
      },
    );
    await expect(failing).rejects.toThrow(new RangeError('attempt 2'));
    expect(asked).toEqual([
      ['attempt 1', 1],
      ['attempt 2', 2],
    ]);
  });

  test('end with what shouldRetry throws', async () => {
    const failing = runStep(() => Promise.reject(new Error('first')), {
      ...quick,
      shouldRetry: () => {
        throw new TypeError('judge');
      },
    });
    await expect(failing).rejects.toThrow(new TypeError('judge'));
  });

  test('are apart by interval, backoff and maximum', async () => {
    const starts: number[] = [];
    await runStep(
      () => {
        starts.push(performance.now());
        if (starts.length < 5) throw new Error('again');
      },
      {
        retriesAllowed: true,
        maxAttempts: 5,
        intervalSeconds: 0.02,
        backoffRate: 3,
        maxIntervalSeconds: 0.1,
        jitter: false,
      },
    );
    const pauses = starts.slice(1).map((start, i) => start - (starts[i] ?? 0));
    for (const [i, least] of [20, 60, 100, 100].entries()) {
      expect(pauses[i]).toBeGreaterThanOrEqual(least - 2);
      expect(pauses[i]).toBeLessThan(least + 3000);
    }
  });

  test('are apart by half to the whole of the interval with jitter', async () => {
    const random = Math.random;
    let pauses: number[] = [];
    const measure = async (value: number) => {
      let last = 0;
      Math.random = () => value;
      try {
        await runStep(
          () => {
            const now = performance.now();
            if (last !== 0) {
              pauses.push(now - last);
              return;
            }
            last = now;
            throw new Error('again');
          },
          { retriesAllowed: true, intervalSeconds: 0.2 },
        );
      } finally {
        Math.random = random;
      }
    };
    await measure(0.999_999);
    expect(pauses[0]).toBeGreaterThanOrEqual(198);
    // A busy machine may make any one of them longer.
    pauses = [];
    while (pauses.length < 20 && !(Math.min(...pauses) < 190)) await measure(0);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(98);
    expect(Math.min(...pauses)).toBeLessThan(190);
  });

  test('follow the stepDefaults of the configuration where the step does not say', async () => {
    const other = await driver.launch({ stepDefaults: { ...quick, maxAttempts: 2 } });
    const counts: number[] = [];
    const flaky = other.registerWorkflow(
      async (options: StepOptions) => {
        let count = 0;
        const fails = () => {
          count++;
          throw new Error('no');
        };
        await other.runStep(fails, options).catch(() => {});
        counts.push(count);
      },
      { name: 'flaky' },
    );
    await flaky({});
    await flaky({ maxAttempts: 4 });
    await flaky({ retriesAllowed: false });
    expect(counts).toEqual([2, 4, 1]);
  });

  test.each<[string, StepOptions]>([
    ['maxAttempts', { retriesAllowed: true, maxAttempts: 0 }],
    ['maxAttempts', { retriesAllowed: true, maxAttempts: Number.NaN }],
    ['intervalSeconds', { intervalSeconds: -1 }],
    ['backoffRate', { backoffRate: 0.5 }],
    ['maxIntervalSeconds', { maxIntervalSeconds: -1 }],
  ])('%s out of range is a ConfigurationError that names it (%o)', async (what, options) => {
    const failing = runStep(() => 1, options);
    await expect(failing).rejects.toThrow(ConfigurationError);
    await expect(failing).rejects.toThrow(what);
  });

  test('have one idempotency key, which a restart does not change', async () => {
    const keys: string[] = [];
    const keyed = workflow(async () => {
      await pawl.runStep(() => 1);
      await pawl.runStep(
        ({ idempotencyKey }) => {
          keys.push(idempotencyKey);
          if (keys.length < 3) throw new Error('again');
        },
        { ...quick, maxAttempts: 5 },
      );
    });
    await keyed();
    await keyed();
    expect(keys[0]).toBeTypeOf('string');
    expect(keys.slice(0, 3)).toEqual([keys[0], keys[0], keys[0]]);
    expect(keys[3]).not.toBe(keys[0]);
  });

  test('go on with their count after a restart', async () => {
    const attempts: number[] = [];
    const flaky = pawl.registerWorkflow(
      async () =>
        pawl.runStep(
          async ({ attempt }) => {
            attempts.push(attempt);
            if (attempt === 2) await delay(60_000, undefined, { ref: false });
            throw new Error(`attempt ${attempt}`);
          },
          { ...quick, maxAttempts: 4 },
        ),
      { name: 'durably flaky' },
    );
    const handle = await pawl.startWorkflow(flaky, { workflowID: 'counted' })();
    await expect.poll(() => attempts, { interval: 5 }).toEqual([1, 2]);
    await pawl.shutdown({ graceSeconds: 0 });
    await pawl.launch();
    await expect(pawl.retrieveWorkflow('counted').getResult()).rejects.toThrow(MaxStepRetriesError);
    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(await pawl.listWorkflowSteps(handle.workflowID)).toMatchObject([{ attempts: 4 }]);
  });

  test('are given up after a restart in the last of them', async () => {
    const attempts: number[] = [];
    const flaky = pawl.registerWorkflow(
      async () =>
        pawl.runStep(
          async ({ attempt }) => {
            attempts.push(attempt);
            if (attempt === 2) await delay(60_000, undefined, { ref: false });
            throw new Error(`attempt ${attempt}`);
          },
          { ...quick, maxAttempts: 2 },
        ),
      { name: 'flaky to the last' },
    );
    await pawl.startWorkflow(flaky, { workflowID: 'last' })();
    await expect.poll(() => attempts, { interval: 5 }).toEqual([1, 2]);
    await pawl.shutdown({ graceSeconds: 0 });
    await pawl.launch();
    await expect(pawl.retrieveWorkflow('last').getResult()).rejects.toMatchObject({
      name: 'MaxStepRetriesError',
      errors: [{ message: 'attempt 1' }],
    });
    expect(attempts).toEqual([1, 2]);
  });

  test('do not keep a shutdown waiting while they pause', async () => {
    let attempts = 0;
    const patient = pawl.registerWorkflow(
      async () =>
        pawl.runStep(
          () => {
            if (++attempts === 1) throw new Error('later');
            return 'done';
          },
          { retriesAllowed: true, intervalSeconds: 600 },
        ),
      { name: 'patient' },
    );
    await pawl.startWorkflow(patient, { workflowID: 'patient' })();
    await expect.poll(() => attempts, { interval: 5 }).toBe(1);
    const begun = performance.now();
    await pawl.shutdown({ graceSeconds: 20 });
    expect(performance.now() - begun).toBeLessThan(5000);
    await pawl.launch();
    expect(await pawl.cancelWorkflow('patient')).toBeUndefined();
  });

  describe('with a timeout', () => {
    test('fail with StepTimeoutError, their signal aborted', async () => {
      const signals: AbortSignal[] = [];
      const failing = runStep(
        async ({ signal }) => {
          signals.push(signal);
          await delay(60_000, undefined, { signal, ref: false });
        },
        { name: 'slow', timeout: 20 },
      );
      await expect(failing).rejects.toThrow(StepTimeoutError);
      await expect(failing).rejects.toThrow(/slow/);
      expect(signals[0]?.aborted).toBe(true);
      expect(signals[0]?.reason).toBeInstanceOf(StepTimeoutError);
    });

    test('count as failed, and the next gets a signal of its own', async () => {
      const aborted: boolean[] = [];
      const result = await runStep(
        async ({ attempt, signal }) => {
          aborted.push(signal.aborted);
          if (attempt < 3) await delay(60_000, undefined, { ref: false });
          return attempt;
        },
        { ...quick, timeout: '20ms' },
      );
      expect(result).toBe(3);
      expect(aborted).toEqual([false, false, false]);
    });

    test('drop the value that comes late, also while another attempt runs', async () => {
      let finishLate: (value: string) => void = () => {};
      const late = new Promise<string>((resolve) => (finishLate = resolve));
      const id = 'late';
      const slow = workflow(async () =>
        pawl.runStep(
          async ({ attempt }) => {
            if (attempt === 1) return late;
            finishLate('late');
            // Whoever waits for it has heard of it then.
            await new Promise(setImmediate);
            return 'in time';
          },
          { ...quick, timeout: 50 },
        ),
      );
      const handle = await pawl.startWorkflow(slow, { workflowID: id })();
      expect(await handle.getResult()).toBe('in time');
      expect(await pawl.listWorkflowSteps(id)).toMatchObject([{ output: 'in time', attempts: 2 }]);
    });

    test('end visibly: every start of an attempt has its end', async () => {
      const seen: string[] = [];
      const { events } = internals(pawl);
      const off = [
        events.on('step.started', ({ name, attempt }) => name === 'watched' && seen.push(`start ${attempt}`)),
        events.on('step.ended', ({ name, attempt }) => name === 'watched' && seen.push(`end ${attempt}`)),
      ];
      const slow = async () => delay(60_000, undefined, { ref: false });
      await runStep(slow, { ...quick, name: 'watched', maxAttempts: 2, timeout: 10 }).catch(() => {});
      for (const stop of off) stop();
      expect(seen).toEqual(['start 1', 'end 1', 'start 2', 'end 2']);
    });

    test('of months do not fire at once', async () => {
      expect(await runStep(async () => delay(20, 'in time'), { timeout: '60d' })).toBe('in time');
    });
  });
});
