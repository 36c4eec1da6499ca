import { describe, expect, it, vi } from 'vitest';
import { newID } from './new-id.ts';

const VERSION_7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('ids of workflows that nobody named', () => {
  it('are UUIDs of version 7 of this moment', () => {
    const before = Date.now();
    const id = newID();
    expect(id).toMatch(VERSION_7);
    expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).toBeGreaterThanOrEqual(before);
  });

  it('rise, however many are made in a millisecond and wherever the clock goes', () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const ids = Array.from({ length: 10_000 }, newID);
      vi.setSystemTime(Date.now() - 3_600_000);
      ids.push(...Array.from({ length: 10_000 }, newID));
      expect(ids).toEqual(ids.toSorted());
      expect(new Set(ids).size).toBe(20_000);
      for (const id of ids) expect(id).toMatch(VERSION_7);
    } finally {
      vi.useRealTimers();
    }
  });
});
