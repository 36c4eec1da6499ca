// Gathering: what is asked in one turn goes together, at most so many batches at a time, and nothing is left behind.
import { expect, test, vi } from 'vitest';
import { coalesce } from './coalesce.ts';

/** What is asked goes out after the I/O of its turn; what that sets off, after the next. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
}

function gathered(options: { maxItems: number; maxInFlight: number; patienceMs?: number }) {
  const batches: { items: readonly number[]; answer(): void; fail(): void }[] = [];
  const ask = coalesce<number, number>(
    (items) =>
      new Promise((resolve, reject) =>
        batches.push({
          items,
          answer: () => resolve(items.map((item) => item * 10)),
          fail: () => reject(new Error(`no ${items.join()}`)),
        }),
      ),
    { ...options, mayBeOneItem: () => true },
  );
  return { ask, batches, items: () => batches.map((batch) => batch.items) };
}

test('what is asked in one turn goes together; what comes meanwhile, with the next', async () => {
  const { ask, batches, items } = gathered({ maxItems: 100, maxInFlight: 2 });
  const first = Promise.all([ask(1), ask(2), ask(3)]);
  await turn();
  const second = Promise.all([ask(4), ask(5)]);
  await turn();
  const third = Promise.all([ask(6), ask(7)]);
  await turn();
  expect(items()).toEqual([
    [1, 2, 3],
    [4, 5],
  ]);
  batches[1]?.answer();
  expect(await second).toEqual([40, 50]);
  await turn();
  expect(items().slice(2)).toEqual([[6, 7]]);
  batches[0]?.answer();
  batches[2]?.answer();
  expect([await first, await third]).toEqual([
    [10, 20, 30],
    [60, 70],
  ]);
  const last = ask(8);
  await turn();
  batches[3]?.answer();
  expect(await last).toBe(80);
});

test('with patience what comes meanwhile waits for the answer, or until a batch is full', async () => {
  const { ask, batches, items } = gathered({ maxItems: 3, maxInFlight: 3, patienceMs: 60_000 });
  const all = [ask(1)];
  await turn();
  all.push(ask(2));
  await turn();
  expect(items()).toEqual([[1]]);
  batches[0]?.answer();
  await turn();
  expect(items()).toEqual([[1], [2]]);

  all.push(ask(3), ask(4), ask(5));
  await turn();
  expect(items()).toEqual([[1], [2], [3, 4, 5]]);
  for (const batch of batches.slice(1)) batch.answer();
  expect(await Promise.all(all)).toEqual([10, 20, 30, 40, 50]);
});

test('once a batch has taken too long the others wait for it no more', async () => {
  const { ask, batches, items } = gathered({ maxItems: 3, maxInFlight: 2, patienceMs: 20 });
  const slow = ask(1);
  await turn();
  const all = [ask(2)];
  await vi.waitUntil(() => batches.length === 2);
  batches[1]?.answer();
  await turn();
  all.push(ask(3));
  await turn();
  expect(items()).toEqual([[1], [2], [3]]);
  batches[2]?.answer();
  expect(await Promise.all(all)).toEqual([20, 30]);
  batches[0]?.answer();
  expect(await slow).toBe(10);
});

test('more than a batch holds goes on in further ones', async () => {
  const { ask, batches, items } = gathered({ maxItems: 2, maxInFlight: 1 });
  const all = Promise.all([1, 2, 3, 4, 5].map(ask));
  for (let n = 0; n < 3; n++) {
    await turn();
    batches[n]?.answer();
  }
  expect(await all).toEqual([10, 20, 30, 40, 50]);
  expect(items()).toEqual([[1, 2], [3, 4], [5]]);
});

test('what a batch does not hold goes at once with another, while there may be more', async () => {
  const { ask, batches, items } = gathered({ maxItems: 2, maxInFlight: 2 });
  const all = Promise.all([1, 2, 3, 4, 5].map(ask));
  await turn();
  expect(items()).toEqual([
    [1, 2],
    [3, 4],
  ]);
  batches[1]?.answer();
  await turn();
  batches[0]?.answer();
  batches[2]?.answer();
  expect(await all).toEqual([10, 20, 30, 40, 50]);
});

test('a batch that fails is tried item by item', async () => {
  const { ask, batches, items } = gathered({ maxItems: 10, maxInFlight: 1 });
  const answers = Promise.allSettled([ask(1), ask(2)]);
  await turn();
  batches[0]?.fail();
  await turn();
  batches[1]?.fail();
  await turn();
  batches[2]?.answer();
  expect(await answers).toMatchObject([{ status: 'rejected' }, { status: 'fulfilled', value: 20 }]);
  expect(items()).toEqual([[1, 2], [1], [2]]);
});
