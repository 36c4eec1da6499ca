// The connection is cut at what moves a workflow from outside: callers are told and may repeat, workflows do that by
// themselves, and a process that stops hands over all the same.
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cut, type Proxy, startProxy } from './proxy.ts';

let database: TestDatabase;
let proxy: Proxy;
let pawl: Pawl;
/** Does the same without any trouble. */
let peer: Pawl;

function create(url: string): Pawl {
  const made = new Pawl({ database: url, logger: quiet, applicationVersion: '1' });
  made.registerWorkflow(
    async () => [await made.runStep(() => 'one', { name: 'one' }), await made.recv('go', Infinity)],
    { name: 'waiting' },
  );
  return made;
}

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startProxy(database.url);
  pawl = create(proxy.url);
  peer = create(database.url);
  pawl.registerWorkflow(
    async (verb: keyof typeof verbs, id: string) => {
      await verbs[verb](id);
    },
    { name: 'commanding' },
  );
  await pawl.launch();
  await peer.launch();
});

afterAll(async () => {
  await Promise.all([pawl, peer].map((each) => each.shutdown({ graceSeconds: 0 })));
  await proxy.close();
  await database.drop();
});

const verbs = {
  cancel: (id: string): Promise<unknown> => pawl.cancelWorkflow(id),
  resume: (id: string): Promise<unknown> => pawl.resumeWorkflow(id),
  fork: (id: string): Promise<unknown> => pawl.forkWorkflow(id, 1),
  forget: (id: string): Promise<unknown> => pawl.deleteWorkflow(id),
};

/** The first call of that function is cut off, and no other. */
function cutAt(name: string, when: Cut): void {
  proxy.judge = (text) => {
    if (!text.includes(`.${name}(`)) return undefined;
    proxy.judge = () => undefined;
    return when;
  };
}

const status = async (id: string) => (await peer.getWorkflowStatus(id))?.status;
const forksOf = async (id: string) =>
  (await peer.listWorkflows()).workflows.filter(({ forkedFrom }) => forkedFrom === id).length;

/** What is so after each verb, however often it took effect. */
const done: Record<keyof typeof verbs, (id: string) => Promise<void>> = {
  cancel: async (id) => expect(await status(id)).toBe('CANCELLED'),
  resume: async (id) => {
    await peer.send(id, 'on', 'go');
    expect(await peer.retrieveWorkflow(id).getResult()).toEqual(['one', 'on']);
    expect(await peer.getWorkflowStatus(id)).toMatchObject({ recoveryAttempts: 0 });
  },
  fork: async (id) => expect(await forksOf(id)).toBe(1),
  forget: async (id) => expect(await status(id)).toBeUndefined(),
};

const cases = (Object.keys(verbs) as (keyof typeof verbs)[]).flatMap((verb) =>
  (['before', 'after'] as const).map((when) => ({ verb, when })),
);

async function target(verb: string, id: string): Promise<string> {
  await peer.startWorkflow('waiting', { workflowID: id })();
  if (verb === 'resume') await peer.cancelWorkflow(id);
  return id;
}

describe.each(cases)('$verb, cut off $when it is done', ({ verb, when }) => {
  // Who repeats a fork without an id of its own gets a second one.
  const repeated = verb === 'fork' ? undefined : test;
  repeated?.('is reported to a caller, who repeats it', async () => {
    const id = await target(verb, `${verb} ${when}`);
    cutAt(verb, when);
    await expect(verbs[verb](id)).rejects.toMatchObject({ name: 'DatabaseUnavailableError' });
    await verbs[verb](id).catch((error: unknown) => {
      // Deleted it was.
      expect(error).toMatchObject({ name: 'NonExistentWorkflowError' });
      expect([verb, when]).toEqual(['forget', 'after']);
    });
    await done[verb](id);
  });

  test('is repeated in a workflow until it is done, once', async () => {
    const id = await target(verb, `${verb} ${when} in a workflow`);
    cutAt(verb, when);
    await (await pawl.startWorkflow('commanding')(verb, id)).getResult();
    await done[verb](id);
  });
});

test.each(['before', 'after'] as const)(
  'a hand-over cut off %s it is done is none the worse',
  async (when) => {
    const leaving = create(proxy.url);
    await leaving.launch();
    const id = `handed over ${when}`;
    await leaving.startWorkflow('waiting', { workflowID: id })();
    cutAt('release', when);
    await leaving.shutdown({ graceSeconds: 1 });
    await peer.send(id, 'on', 'go');
    expect(await peer.retrieveWorkflow(id).getResult()).toEqual(['one', 'on']);
    expect(await peer.getWorkflowStatus(id)).toMatchObject({ recoveryAttempts: 0 });
  },
);
