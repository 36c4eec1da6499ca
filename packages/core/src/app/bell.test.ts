import { expect, test } from 'vitest';
import { createBell } from './bell.ts';

const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

test('a ring wakes who waits, and leaves no timer behind', async () => {
  const before = timers();
  const bell = createBell();
  const waiting = bell.wait(60_000);
  expect(timers()).toBe(before + 1);
  bell.ring();
  expect(await waiting).toBe(true);
  expect(timers()).toBe(before);
});

test('a ring that nobody heard wakes the next who waits, once', async () => {
  const bell = createBell();
  bell.ring();
  bell.ring();
  expect(await bell.wait(60_000)).toBe(true);
  expect(await bell.wait(1)).toBe(false);
});

test('a ring after the time was over is kept for the next', async () => {
  const bell = createBell();
  expect(await bell.wait(0)).toBe(false);
  bell.ring();
  expect(await bell.wait(60_000)).toBe(true);
});
