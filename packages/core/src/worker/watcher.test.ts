import { expect, test } from 'vitest';
import { withTimeout } from '../app/with-timeout.ts';
import { DatabaseUnavailableError } from '../errors/index.ts';
import type { TextRow } from '../store/database.ts';
import { createWatcher } from './watcher.ts';

/** Answers as told, one after the other; the last answer stays. */
function watching(...answers: (readonly TextRow[] | Error)[]) {
  let calls = 0;
  const errors: unknown[] = [];
  const lane = {
    call: () => {
      const answer = answers[Math.min(calls++, answers.length - 1)];
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve([...(answer ?? [])]);
    },
    close: () => Promise.resolve(),
  };
  const watcher = createWatcher(
    lane,
    () => 1,
    () => false,
    (error) => errors.push(error),
  );
  const event = (timeoutMs: number) => {
    let subscribed: ReturnType<typeof watcher.subscribe> | undefined;
    const promise = new Promise<string | null>((resolve) => {
      subscribed = watcher.subscribe('w', 'key', ({ output }) => resolve(output));
    });
    const { looked = Promise.resolve(), end = () => {} } = subscribed ?? {};
    return withTimeout<string | null>(promise, { timeoutMs, looked, abandon: end });
  };
  return { watcher, event, errors, calls: () => calls };
}

const lost = new Error('Connection terminated unexpectedly');
const value: TextRow = ['e', 'w', 'key', '', '"set"', null];

test('what is there is found however short the time, also when the first look was lost', async () => {
  const { event, errors, calls } = watching(lost, [value]);
  expect(await event(0)).toBe('"set"');
  expect(calls()).toBe(2);
  expect(errors).toEqual([]);
});

test('what is not there is null after the time', async () => {
  expect(await watching([]).event(0)).toBeNull();
  expect(await watching(lost, []).event(0)).toBeNull();
});

test('a database that does not answer is not taken for an event that is not there', async () => {
  const { event, errors } = watching(lost);
  await expect(event(0)).rejects.toBeInstanceOf(DatabaseUnavailableError);
  expect(errors).toEqual([lost]);
});

test('a later look counts as one', async () => {
  const { watcher, event, errors } = watching(lost, lost, []);
  const answer = event(0);
  await expect.poll(() => errors, { interval: 5 }).toEqual([lost]);
  await watcher.poll();
  expect(await answer).toBeNull();
});

test('what the claim that is under way begins here is told by its end, and not looked for', async () => {
  const here = new Set<string>();
  const claimed = Promise.resolve().then(() => void here.add('w'));
  let calls = 0;
  const lane = {
    call: () => {
      calls++;
      return Promise.resolve([]);
    },
    close: () => Promise.resolve(),
  };
  const watcher = createWatcher(
    lane,
    () => 1,
    (id) => here.has(id),
    () => {},
    () => claimed,
  );
  const ended = { status: 'SUCCESS', output: '1', error: null };
  const result = new Promise((resolve) => {
    void watcher.subscribe('w', undefined, resolve).looked.then(() => watcher.ended('w', ended));
  });
  expect(await result).toMatchObject(ended);
  expect(calls).toBe(0);
});
