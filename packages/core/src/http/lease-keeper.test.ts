import { afterEach, expect, test, vi } from 'vitest';
import type { HttpLease } from '../store/http-requests.ts';
import { leaseKeeper } from './lease-keeper.ts';

const lease = (id: string, owner: string): HttpLease => ({ id, owner, leaseMs: 300 });

afterEach(() => void vi.useRealTimers());

function kept() {
  vi.useFakeTimers();
  const renewed: string[][] = [];
  const keeper = leaseKeeper(
    async (leases) => (renewed.push(leases.map(({ owner }) => owner)), []),
    () => undefined,
  );
  return { keeper, renewed };
}

test('an attempt that was taken over in this very process ends without the lease of its successor', async () => {
  const { keeper, renewed } = kept();
  keeper.hold(lease('a', 'stale'));
  keeper.hold(lease('a', 'successor'));
  keeper.drop(lease('a', 'stale'));
  await vi.advanceTimersByTimeAsync(100);
  expect(renewed).toEqual([['successor']]);
  keeper.drop(lease('a', 'successor'));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(renewed.length).toBe(1);
});

test('a lease of months does not make the heartbeat one of milliseconds', async () => {
  const { keeper, renewed } = kept();
  keeper.hold({ ...lease('a', 'patient'), leaseMs: 365 * 86_400_000 });
  await vi.advanceTimersByTimeAsync(59 * 60_000);
  expect(renewed).toEqual([]);
  keeper.drop(lease('a', 'patient'));
});
