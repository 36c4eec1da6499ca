import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { OUTSIDE, type Scope } from './scope.ts';
import { ScopeStorage } from './scope-storage.ts';

const scope = (prefix: string): Scope => ({ ...OUTSIDE, settings: { derived: { prefix, count: 0 } } });

test('each storage finds its innermost scope, over awaits and inside of others', async () => {
  const [one, two] = [new ScopeStorage(), new ScopeStorage()];
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(scope) as [Scope, Scope, Scope, Scope];
  const found: unknown[] = [];
  const look = async (): Promise<void> => {
    await turn();
    found.push([one.getStore(), two.getStore()]);
  };
  await look();
  await one.run(a, async () => {
    await look();
    await two.run(b, async () => {
      await look();
      await one.run(c, async () => {
        await look();
        await two.run(d, look);
        await look();
      });
      await look();
    });
    await look();
  });
  await look();
  expect(found).toEqual([
    [undefined, undefined],
    [a, undefined],
    [a, b],
    [c, b],
    [c, d],
    [c, b],
    [a, b],
    [a, undefined],
    [undefined, undefined],
  ]);
});

test('gives what the function gives, with its arguments', () => {
  const storage = new ScopeStorage();
  expect(storage.run(OUTSIDE, (a: number, b: number) => a + b, 1, 2)).toBe(3);
});

test('all share one AsyncLocalStorage, and one scope inside of another holds neither', () => {
  const run = vi.spyOn(AsyncLocalStorage.prototype, 'run');
  const storages = Array.from({ length: 5 }, () => new ScopeStorage());
  const nest = (depth: number): void => {
    if (depth > 0) storages[depth % storages.length]?.run(OUTSIDE, () => nest(depth - 1));
  };
  nest(50);
  expect(run).toHaveBeenCalledTimes(50);
  expect(new Set(run.mock.contexts).size).toBe(1);
  let entry = run.mock.calls.at(-1)?.[0] as { others?: typeof entry } | undefined;
  let length = 0;
  for (; entry !== undefined; entry = entry.others) length += 1;
  expect(length).toBe(storages.length);
  run.mockRestore();
});
