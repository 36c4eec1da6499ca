// What one process does and another one waits for: it arrives with a hint at once, and without one at the next look.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Program } from './process.ts';
import type { Worker } from './processes/worker.ts';
import { createWorkers, type Workers, within } from './workers.ts';

let database: TestDatabase;
let workers: Workers;
let one: Program<Worker>;
let other: Program<Worker>;
let n = 0;

beforeAll(async () => {
  database = await createDatabase();
  workers = createWorkers(database.url);
});

afterAll(async () => {
  await workers.end();
  await database.drop();
});

/** From what `one` does to what `other` sees of it, in milliseconds. */
const ways: Record<string, () => Promise<number>> = {
  'a message to a workflow': async () => {
    const id = `message-${++n}`;
    await other.call('start', 'receiver', id);
    await settled(id, 'recv');
    const sent = await one.call('send', id, 'x');
    return (await workers.noted(id, 'after')).at - sent;
  },
  'an event for a workflow': async () => {
    const id = `event-${++n}`;
    await one.call('start', 'announcer', `${id}-source`);
    await other.call('start', 'getter', id, `${id}-source`);
    await settled(id, 'getEvent');
    await one.call('send', `${id}-source`, 'now');
    const set = (await one.call('result', `${id}-source`)) as number;
    return (await workers.noted(id, 'after')).at - set;
  },
  'an event for a caller': async () => {
    const id = `called-${++n}`;
    await one.call('start', 'announcer', id);
    const seen = other.call('timeOfEvent', id);
    await other.call('status', id);
    await one.call('send', id, 'now');
    return (await seen) - ((await one.call('result', id)) as number);
  },
  'a result for a caller': async () => {
    const id = `result-${++n}`;
    await one.call('start', 'announcer', id);
    const seen = other.call('timeOfResult', id);
    await other.call('status', id);
    await one.call('send', id, 'now');
    return (await seen) - ((await one.call('result', id)) as number);
  },
};

/** The wait is written, so it is waited for. */
async function settled(id: string, kind: string): Promise<void> {
  await expect
    .poll(async () => (await other.call('steps', id)).map((step) => step.kind), { interval: 5 })
    .toContain(kind);
}

describe('with hints', () => {
  beforeAll(async () => {
    [one, other] = await Promise.all([workers.start(), workers.start()]);
  });

  test.each(Object.keys(ways))('%s arrives from another process within a tenth of a second', async (way) => {
    await within(100, 6, `${way}:`, ways[way] as () => Promise<number>);
  });
});

describe('with hints lost', () => {
  beforeAll(async () => {
    await Promise.all([one.call('loseHints'), other.call('loseHints')]);
  });

  test.each(Object.keys(ways))('%s arrives from another process with the next look', async (way) => {
    await within(1000, 4, `${way}:`, ways[way] as () => Promise<number>);
  });
});
