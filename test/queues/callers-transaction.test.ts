// What is enqueued in a transaction of the caller exists if and only if that commits, wherever processes are killed.
// PAWL_QUEUE_CASES=1000 tries as many.
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createFleet } from './fleet.ts';

const CASES = Number(process.env['PAWL_QUEUE_CASES'] ?? 100);
const AT_ONCE = 8;

test(
  `of ${CASES} transactions those that commit have a workflow, which runs, and the others none`,
  { timeout: CASES * 500 },
  async () => {
    await using fleet = await createFleet({ q: { concurrency: 10 } });
    await fleet.sql('CREATE TABLE ledger (id text PRIMARY KEY)');
    const programs = await Promise.all([fleet.start(), fleet.start()]);
    const committed = new Set<string>();
    const rolledBack = new Set<string>();
    let next = 0;
    const caller = async (): Promise<void> => {
      for (let n = next++; n < CASES; n = next++) {
        const [program] = programs.slice(n % 2);
        const id = `case-${n}`;
        const commit = Math.random() < 0.6;
        // Of one whose process dies nobody knows how it went.
        await program
          ?.call(n % 3 === 0 ? 'spend' : 'enqueueIn', id, commit)
          .then(() => (commit ? committed : rolledBack).add(id))
          .catch(() => pause(20));
      }
    };
    const callers = Promise.all(Array.from({ length: AT_ONCE }, caller));
    for (let kill = 0; next < CASES; kill++) {
      await pause(Math.random() * 600);
      const [victim] = programs.splice(kill % 2, 1, await fleet.start());
      if (victim !== undefined) await fleet.kill(victim);
    }
    await callers;
    await expect
      .poll(() => fleet.sql(`SELECT id, status FROM pawl.workflow WHERE status <> 'SUCCESS'`), {
        timeout: 60_000,
      })
      .toEqual([]);
    const ids = async (text: string) =>
      (await fleet.sql<{ id: string }>(text)).map(({ id }) => id).toSorted();
    const written = await ids('SELECT id FROM ledger');
    expect(await ids(`SELECT id FROM pawl.workflow WHERE name = 'job'`)).toEqual(written);
    expect(await ids(`SELECT DISTINCT workflow_id AS id FROM note WHERE what = 'end'`)).toEqual(written);
    expect([...committed].filter((id) => !written.includes(id))).toEqual([]);
    expect([...rolledBack].filter((id) => written.includes(id))).toEqual([]);
    // Enough of both.
    expect(committed.size).toBeGreaterThan(CASES / 5);
    expect(rolledBack.size).toBeGreaterThan(CASES / 10);
  },
);
