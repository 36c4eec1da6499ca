// Where each verb may be called: in a workflow, in a step, in a transaction, outside, before launch.
import { InStepError, NotInWorkflowError, NotLaunchedError, type Pawl, type Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';

type Verbs = Record<string, (pawl: Pawl) => Promise<unknown>>;

/** Only in a workflow. */
const workflowVerbs: Verbs = {
  sleep: (pawl) => pawl.sleep(1),
  sleepUntil: (pawl) => pawl.sleepUntil(new Date()),
  setEvent: (pawl) => pawl.setEvent('key', 1),
  recv: (pawl) => pawl.recv('topic', 0),
  now: (pawl) => pawl.now(),
  randomUUID: (pawl) => pawl.randomUUID(),
  patch: (pawl) => pawl.patch('change'),
  deprecatePatch: (pawl) => pawl.deprecatePatch('change'),
};

/** In a workflow and outside, not in a step. */
const startingVerbs: Verbs = {
  startWorkflow: (pawl) => pawl.startWorkflow('child')(),
  send: (pawl) => pawl.send('somebody', 1),
  getEvent: (pawl) => pawl.getEvent('somebody', 'key', 0),
};

const managementVerbs: Verbs = {
  getWorkflowStatus: (pawl) => pawl.getWorkflowStatus('x'),
  listWorkflows: (pawl) => pawl.listWorkflows(),
  listWorkflowSteps: (pawl) => pawl.listWorkflowSteps('x'),
  cancelWorkflow: (pawl) => pawl.cancelWorkflow('x'),
  resumeWorkflow: (pawl) => pawl.resumeWorkflow('x'),
  forkWorkflow: (pawl) => pawl.forkWorkflow('x', 0),
  restartWorkflow: (pawl) => pawl.restartWorkflow('x'),
  deleteWorkflow: (pawl) => pawl.deleteWorkflow('x'),
  getResult: (pawl) => pawl.retrieveWorkflow('x').getResult(),
  getStatus: (pawl) => pawl.retrieveWorkflow('x').getStatus(),
};

const names = (verbs: Verbs) => Object.keys(verbs).map((name) => [name]);

describeEachDriver('where a verb may be called', (driver) => {
  let pawl: Pawl;

  beforeAll(async () => {
    pawl = await driver.launch();
    pawl.registerWorkflow(async () => 'child', { name: 'child' });
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `contexts${++made}` });

  const call = (verbs: Verbs, name: string, on: Pawl): Promise<unknown> =>
    verbs[name]?.(on) ?? Promise.reject(new Error(`No verb ${name}`));

  test.each(names({ ...workflowVerbs, ...startingVerbs }))(
    '%s inside a step is an InStepError that names it',
    async (name) => {
      const all = { ...workflowVerbs, ...startingVerbs };
      const before = workflow(async () => pawl.runStep(() => call(all, name, pawl)));
      const failing = before();
      await expect(failing).rejects.toThrow(InStepError);
      await expect(failing).rejects.toMatchObject({ verb: name });
    },
  );

  test.each(names({ ...workflowVerbs, ...startingVerbs, ...managementVerbs }))(
    '%s inside a transaction of a workflow is an InStepError',
    async (name) => {
      const all = { ...workflowVerbs, ...startingVerbs, ...managementVerbs };
      const inside = workflow(async () => pawl.runTransaction(() => call(all, name, pawl)));
      await expect(inside()).rejects.toThrow(InStepError);
    },
  );

  test.each(names(workflowVerbs))('%s outside a workflow is a NotInWorkflowError', async (name) => {
    await expect(call(workflowVerbs, name, pawl)).rejects.toThrow(NotInWorkflowError);
    await expect(call(workflowVerbs, name, pawl)).rejects.toMatchObject({ verb: name });
  });

  test.each(names({ ...startingVerbs, ...managementVerbs }))(
    '%s before launch is a NotLaunchedError, and after shutdown',
    async (name) => {
      const verbs = { ...startingVerbs, ...managementVerbs };
      const other = driver.create();
      other.registerWorkflow(async () => 'child', { name: 'child' });
      await expect(call(verbs, name, other)).rejects.toThrow(NotLaunchedError);
      if (name !== 'getResult') return;
      await other.launch();
      await other.shutdown();
      for (const verb of Object.keys(verbs))
        await expect(call(verbs, verb, other)).rejects.toThrow(NotLaunchedError);
    },
  );

  test('calling a workflow before launch is a NotLaunchedError, as is a transaction', async () => {
    const other = driver.create();
    const child = other.registerWorkflow(async () => 'child', { name: 'child' });
    await expect(child()).rejects.toThrow(NotLaunchedError);
    await expect(other.runTransaction(async () => 1)).rejects.toThrow(NotLaunchedError);
  });

  test('outside a workflow a step just runs, once, retries or not, even before launch', async () => {
    const other = driver.create();
    let runs = 0;
    const step = other.registerStep(
      async (n: number) => {
        runs++;
        return n * 2;
      },
      { name: 'double' },
    );
    expect(await step(2)).toBe(4);
    expect(await other.runStep(() => 7)).toBe(7);
    const failing = other.runStep(
      () => {
        runs++;
        throw new RangeError('no');
      },
      { retriesAllowed: true, intervalSeconds: 60 },
    );
    await expect(failing).rejects.toThrow(RangeError);
    expect(runs).toBe(2);
  });

  test('a step inside a step runs as part of it', async () => {
    const double = pawl.registerStep(async (n: number) => n * 2, { name: 'double' });
    const nested = workflow(async () => {
      const first = await pawl.runStep(
        async (outer) => {
          const inner = await pawl.runStep((step) => step.stepID === outer.stepID, { name: 'inner' });
          return [inner, await double(4), pawl.stepID];
        },
        { name: 'outer' },
      );
      return [first, await double(5)];
    });
    const handle = await pawl.startWorkflow(nested)();
    expect(await handle.getResult()).toEqual([[true, 8, 0], 10]);
    const steps = await pawl.listWorkflowSteps(handle.workflowID);
    expect(steps.map(({ name }) => name)).toEqual(['outer', 'double']);
  });

  test('what a step inside a step throws passes through the outer one', async () => {
    const nested = workflow(async () =>
      pawl.runStep(async () => {
        await pawl.runStep(() => Promise.reject(new RangeError('inner')), { name: 'inner' });
      }),
    );
    await expect(nested()).rejects.toThrow(new RangeError('inner'));
  });

  test('workflowID, stepID and signal say where the code runs', async () => {
    expect([pawl.workflowID, pawl.stepID, pawl.signal]).toEqual([undefined, undefined, undefined]);
    const seen: unknown[] = [];
    const looking = workflow(async () => {
      seen.push(pawl.workflowID, pawl.stepID, pawl.signal instanceof AbortSignal);
      await pawl.runStep(() => seen.push(pawl.workflowID, pawl.stepID, pawl.signal?.aborted));
      await Promise.all([
        pawl.runStep(async () => {
          await new Promise(setImmediate);
          seen.push(pawl.stepID);
        }),
        pawl.runStep(async () => {
          await new Promise(setImmediate);
          seen.push(pawl.stepID);
        }),
      ]);
    });
    await pawl
      .startWorkflow(looking, { workflowID: 'looking' })()
      .then((handle) => handle.getResult());
    expect(seen).toEqual(['looking', undefined, true, 'looking', 0, false, 1, 2]);
  });

  test('a step is named after its function, or as the options say', async () => {
    async function charge() {
      return 1;
    }
    const registered = pawl.registerStep(charge);
    const renamed = pawl.registerStep(charge, { name: 'renamed' });
    const naming = workflow(async () => {
      await pawl.runStep(charge);
      await pawl.runStep(() => 1);
      await pawl.runStep(charge, { name: 'mine' });
      await registered();
      await renamed();
    });
    const handle = await pawl.startWorkflow(naming)();
    await handle.getResult();
    const steps = await pawl.listWorkflowSteps(handle.workflowID);
    expect(steps.map(({ name }) => name)).toEqual(['charge', 'step', 'mine', 'charge', 'renamed']);
  });

  test.each(['', 'x'.repeat(256), 'a\0b'])('a step cannot be called %j', async (name) => {
    const naming = workflow(async () => pawl.runStep(() => 1, { name }));
    await expect(naming()).rejects.toMatchObject({ name: 'ValidationError' });
  });

  // Embedded, the transaction holds the only connection; elsewhere it may hold the locks that the verb waits for.
  test.each(names({ ...startingVerbs, ...managementVerbs }))(
    '%s inside a transaction outside of workflows is an InStepError too, and does not hang',
    async (name) => {
      const verbs = { ...startingVerbs, ...managementVerbs };
      await expect(pawl.runTransaction(() => call(verbs, name, pawl))).rejects.toThrow(InStepError);
    },
  );

  test('two Pawls in one process see nothing of each other', async () => {
    const other = await driver.launch();
    other.registerWorkflow(async () => 'other', { name: 'elsewhere' });
    const crossing = workflow(async () => {
      const inside = [other.workflowID, pawl.workflowID];
      // A start on the other Pawl is no child of this workflow.
      const handle = await other.startWorkflow('elsewhere', { workflowID: 'crossing-other' })();
      return [...inside, await handle.getResult()];
    });
    const handle = await pawl.startWorkflow(crossing, { workflowID: 'crossing' })();
    expect(await handle.getResult()).toEqual([undefined, 'crossing', 'other']);
    expect(await pawl.getWorkflowStatus('crossing-other')).toBeNull();
    expect(await other.getWorkflowStatus('crossing')).toBeNull();
    expect((await other.getWorkflowStatus('crossing-other'))?.parentWorkflowID).toBeNull();
    await expect(pawl.startWorkflow('elsewhere')()).rejects.toMatchObject({ name: 'NotRegisteredError' });
  });
});
