// What each verb costs in statements, so that no cost grows unnoticed. The tick, twice a second, is not counted.
import { setTimeout as delay } from 'node:timers/promises';
import type { Pawl, Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { settled } from '../support/settled.ts';

// A tick that falls into a measurement may find the same work at the same moment. That does not happen every time.
describeEachDriver('round trips', { retry: 3 }, (driver) => {
  let pawl: Pawl;
  let statements: string[] = [];
  let ticks = 0;

  beforeAll(async () => {
    pawl = driver.create({ parkAfterSeconds: 60 });
    internals(pawl).events.on('statement', ({ text }) => {
      if (text.includes('pawl.tick(')) ticks++;
      else statements.push(/pawl\.\w+/.exec(text)?.[0] ?? text);
    });
    await pawl.launch();
    await (
      await pawl.startWorkflow(
        workflow(async () => {}),
        { workflowID: 'mailbox' },
      )()
    ).getResult();
  });

  /** What goes out while `work` runs, once nothing else does: a registration is followed by a claim. */
  async function sent(work: () => Promise<unknown>): Promise<string[]> {
    const mine: string[] = [];
    await settled(pawl, () => statements.length);
    statements = mine;
    await work();
    statements = [];
    return mine;
  }

  /** They wait, and for all that they wait for they have looked. */
  async function wait(...workflowIDs: string[]): Promise<void> {
    const { activations } = internals(pawl).runtime.engine;
    const waits = (id: string) => {
      const all = [...(activations.get(id)?.waits ?? [])];
      return all.length > 0 && all.every(({ state }) => state === 'waiting');
    };
    await expect.poll(() => workflowIDs.every(waits), { interval: 2 }).toBe(true);
  }

  let made = 0;
  function workflow<A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> {
    return pawl.registerWorkflow(body, { name: `counted${++made}` });
  }

  /** What one call sends inside a running workflow, alone in its flushes; and what its replay sends. */
  async function costs(call: () => Promise<unknown>): Promise<{ live: string[]; replayed: string[] }> {
    let found: (statements: string[]) => void = () => {};
    const next = () => new Promise<string[]>((resolve) => (found = resolve));
    const measured = workflow(async () => found(await sent(call)));
    const first = next();
    const handle = await pawl.startWorkflow(measured)();
    const live = await first;
    await handle.getResult();
    const second = next();
    // Nobody waits for its result, which would be a look of its own.
    await pawl.forkWorkflow(handle.workflowID, 100);
    return { live, replayed: await second };
  }

  /** An id that no earlier attempt has used. */
  const fresh = (id: string) => `${id}-${++made}`;

  test('a start takes 1, and so does finding the workflow that has the id', async () => {
    const gate = workflow(async () => pawl.recv<string>());
    const id = fresh('start');
    const start = () => pawl.startWorkflow(gate, { workflowID: id })();
    expect(await sent(start)).toHaveLength(1);
    await pawl.send(id, 'done');
    await pawl.retrieveWorkflow(id).getResult();
    expect(await sent(start)).toHaveLength(1);
  });

  test('a workflow without steps takes 1 to start and 1 to finish; waiting for it here takes none', async () => {
    const empty = workflow(async () => 'done');
    expect(await sent(() => empty())).toHaveLength(2);
  });

  test('a workflow of ten steps takes 12', async () => {
    const ten = workflow(async () => {
      for (let i = 0; i < 10; i++) await pawl.runStep(() => i);
    });
    expect(await sent(() => ten())).toHaveLength(12);
  });

  test('ten steps at once share what they write', async () => {
    const fan = workflow(async () => {
      await Promise.all(Array.from({ length: 10 }, (_, i) => pawl.runStep(() => i)));
    });
    expect(await sent(() => fan())).toHaveLength(3);
  });

  test('a hundred workflows at once share what they write', async () => {
    const one = workflow(async () => pawl.runStep(() => 1));
    const all = () => Promise.all(Array.from({ length: 100 }, () => one()));
    expect((await sent(all)).length).toBeLessThanOrEqual(12);
  });

  test.each<[string, number, () => Promise<unknown>]>([
    ['runStep', 1, () => pawl.runStep(() => 'done')],
    ['runStep that throws', 1, () => pawl.runStep(() => Promise.reject(new Error('no'))).catch(() => {})],
    ['setEvent', 1, () => pawl.setEvent('key', 1)],
    ['writeStream', 1, () => pawl.writeStream('key', 1)],
    ['closeStream', 1, () => pawl.closeStream('other')],
    [
      'ten writeStream at once',
      1,
      () => Promise.all(Array.from({ length: 10 }, (_, i) => pawl.writeStream('many', i))),
    ],
    ['now', 1, () => pawl.now()],
    ['randomUUID', 1, () => pawl.randomUUID()],
    ['createHook', 1, () => pawl.createHook('approval')],
    ['patch', 1, () => pawl.patch('change')],
    ['patch that was asked before', 1, () => Promise.all([pawl.patch('change'), pawl.patch('change')])],
    ['deprecatePatch', 0, () => pawl.deprecatePatch('change')],
    ['send', 1, () => pawl.send('mailbox', 'a message', 'nobody listens')],
    ['a look at other workflows, which is read and recorded,', 2, () => pawl.listWorkflows({ limit: 1 })],
    ['recv that does not wait', 1, () => pawl.recv('empty', 0)],
    ['a sleep', 2, () => pawl.sleep(20)],
  ])('%s takes %i and its replay none', async (_, expected, call) => {
    const { live, replayed } = await costs(call);
    expect(live).toHaveLength(expected);
    expect(replayed).toEqual([]);
  });

  test('recv and getEvent take 1 when the value is there', async () => {
    const found: string[][] = [];
    const reader = workflow(async () => {
      const self = pawl.workflowID ?? '';
      await pawl.setEvent('key', 'value');
      await pawl.send(self, 'message', 'topic');
      found.push(await sent(() => pawl.recv('topic')), await sent(() => pawl.getEvent(self, 'key')));
    });
    await reader();
    expect(found.map((statements) => statements.length)).toEqual([1, 1]);
  });

  test('a child takes 1 to start, 1 to finish, and 1 for the record of its result', async () => {
    const child = workflow(async (n: number) => n);
    const { live, replayed } = await costs(() => child(1));
    expect(live.length).toBeLessThanOrEqual(3);
    expect(replayed).toEqual([]);
  });

  test('recv that waits takes 2, beside the 1 of the send', async () => {
    const receiver = workflow(async () => pawl.recv<string>('topic'));
    const id = fresh('receiver');
    const all = await sent(async () => {
      const handle = await pawl.startWorkflow(receiver, { workflowID: id })();
      await wait(id);
      expect(statements).toHaveLength(2);
      await pawl.send(id, 'message', 'topic');
      expect(await handle.getResult()).toBe('message');
    });
    expect(all).toHaveLength(5); // start, look, send, look again, finish
  });

  test('getEvent that waits takes 2, beside the 1 of setEvent and 1 that passes it on', async () => {
    const setter = workflow(async () => {
      await pawl.recv('go');
      await pawl.setEvent('key', 'value');
    });
    const id = fresh('setter');
    const getter = workflow(async () => pawl.getEvent(id, 'key'));
    const getterID = fresh('getter');
    const all = await sent(async () => {
      const handles = [
        await pawl.startWorkflow(setter, { workflowID: id })(),
        await pawl.startWorkflow(getter, { workflowID: getterID })(),
      ];
      await wait(id, getterID);
      await pawl.send(id, 'now', 'go');
      await Promise.all(handles.map((handle) => handle.getResult()));
    });
    // Two starts, two looks, send, recv, setEvent, pass on, look again, two finishes: fewer where they share.
    expect(all.length).toBeLessThanOrEqual(11);
  });

  test('each further attempt of a step takes 1', async () => {
    const attempts = { retriesAllowed: true, maxAttempts: 4, intervalSeconds: 0.001 };
    const { live, replayed } = await costs(() =>
      pawl.runStep(() => Promise.reject(new Error('never')), attempts).catch(() => {}),
    );
    expect(live).toHaveLength(4);
    expect(replayed).toEqual([]);
  });

  test('a transaction of n statements takes n + 3 with one commit, its replay none', async () => {
    const table = `counted_${driver.freshSchema()}`;
    await driver.sql(`CREATE TABLE ${table} (n integer)`);
    const { live, replayed } = await costs(() =>
      pawl.runTransaction(async (tx) => {
        for (const n of [1, 2, 3]) await tx.query(`INSERT INTO ${table} VALUES ($1)`, [n]);
      }),
    );
    expect(live).toHaveLength(6);
    expect(live.filter((text) => text === 'COMMIT')).toHaveLength(1);
    expect(replayed).toEqual([]);
    expect(await driver.sql(`SELECT n FROM ${table} ORDER BY n`)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  test('the result of a workflow of this process takes none, however many wait', async () => {
    const gate = workflow(async () => pawl.recv<string>());
    const id = fresh('waited');
    const all = await sent(async () => {
      const handle = await pawl.startWorkflow(gate, { workflowID: id })();
      const results = Promise.all(Array.from({ length: 50 }, () => handle.getResult()));
      await wait(id);
      expect(statements).toHaveLength(2);
      await pawl.send(id, 'done');
      await results;
    });
    expect(all).toHaveLength(5); // start, look, send, look again, finish
  });

  test('an event of a workflow of this process takes 1 look and 1 to pass it on, however many wait', async () => {
    const setter = workflow(async () => {
      await pawl.recv('go');
      await pawl.setEvent('key', 'value');
    });
    const id = fresh('observed');
    const all = await sent(async () => {
      const handle = await pawl.startWorkflow(setter, { workflowID: id })();
      const values = Promise.all(Array.from({ length: 50 }, () => pawl.getEvent(id, 'key')));
      // Asked in the same turn, so that it goes with their look.
      const { looked } = internals(pawl).runtime.event(id, 'key');
      await Promise.all([looked, wait(id)]);
      expect(statements).toHaveLength(3);
      await pawl.send(id, 'now', 'go');
      expect(new Set(await values)).toEqual(new Set(['value']));
      await handle.getResult();
      await settled(pawl, () => statements.length);
    });
    // start, look, send, look again, setEvent, finish; and the two of the event
    expect(all.length).toBeLessThanOrEqual(8);
  });

  test('replaying a workflow takes 1 to claim it with its journal, whatever its length', async () => {
    const long = workflow(async () => {
      for (let i = 0; i < 50; i++) await pawl.runStep(() => i);
    });
    const handle = await pawl.startWorkflow(long)();
    await handle.getResult();
    const all = await sent(async () => {
      const fork = await pawl.forkWorkflow(handle.workflowID, 50);
      await fork.getResult();
      await settled(pawl, () => statements.length);
    });
    // A tick may see the fork before the claim does, and ask once more.
    expect(all.filter((text) => text === 'pawl.claim').length).toBeLessThanOrEqual(2);
    // fork, claim, finish; who waits for what is not in memory yet looks once, which is passed on once
    expect(all.filter((text) => text !== 'pawl.claim').length).toBeLessThanOrEqual(4);
  });

  test('many fresh workflows are claimed with their inputs in 1', async () => {
    const detached = workflow(async (n: number) => n);
    const ids = Array.from({ length: 20 }, () => fresh('claimed'));
    const all = await sent(async () => {
      await pawl.runTransaction(async (tx) => {
        for (const [n, workflowID] of ids.entries())
          await pawl.startWorkflow(detached, { workflowID, transaction: tx })(n);
      });
      await Promise.all(ids.map((id) => pawl.retrieveWorkflow(id).getResult()));
    });
    expect(all.filter((text) => text === 'pawl.claim')).toHaveLength(1);
  });

  test('parking takes 1, waking up 1 claim', async () => {
    const parker = driver.create({ parkAfterSeconds: 0 });
    const all: string[] = [];
    internals(parker).events.on('statement', ({ text }) => {
      if (!text.includes('pawl.tick(')) all.push(/pawl\.\w+/.exec(text)?.[0] ?? text);
    });
    const ended = new Promise((resolve) => internals(parker).events.on('workflow.ended', resolve));
    const sleeper = parker.registerWorkflow(async function sleeper() {
      await parker.sleep(30);
    });
    await parker.launch();
    all.length = 0;
    await parker.startWorkflow(sleeper)();
    await ended;
    // start, look, park, claim, look, finish; a tick may have asked for the claim twice
    expect(all.length).toBeLessThanOrEqual(7);
  });

  test('an idle process ticks twice a second and sends nothing else', async () => {
    let seen = 0;
    const idle = async () => {
      ticks = 0;
      await delay(1600);
      seen = ticks;
    };
    expect(await sent(idle)).toEqual([]);
    expect(seen).toBeGreaterThanOrEqual(2);
    expect(seen).toBeLessThanOrEqual(4);
  });
});
