// A client that orders without a pause, as many at once as it is told to: what it was answered, and whether every
// order came to its end.
import { DatabaseUnavailableError, PawlClient } from '@pawl/core';
import { expect } from 'vitest';
import { type Fleet, expectOnce } from './fleet.ts';

interface OrderResult {
  tokens: string[];
  entered: string;
  paid: string;
  wrapped: string;
  delivered: string;
}

export interface Load {
  readonly started: number;
  /** How long requests took that met no database. */
  readonly refused: number[];
  /** No further orders. Resolves when all are through, and checks each. */
  finish(): Promise<{ orders: number; mostAttempts: number }>;
  close(): Promise<void>;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export async function createLoad(url: string, fleet: Fleet, atOnce: number): Promise<Load> {
  const client = await new PawlClient({ database: url, logger: silent }).connect();
  const refused: number[] = [];
  const results = new Map<string, OrderResult>();
  let started = 0;
  let over = false;

  /** Repeats a request, as its error says, until the database is there. */
  const request = async <T>(call: () => Promise<T>): Promise<T> => {
    for (;;) {
      const begun = performance.now();
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof DatabaseUnavailableError)) throw error;
        refused.push(performance.now() - begun);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };

  const one = async (n: number): Promise<void> => {
    const workflowID = `order-${n}`;
    const handle = await request(() => client.startWorkflow('order', { workflowID })(n as never));
    await request(() => client.send(workflowID, `paid ${n}`, 'paid', { idempotencyKey: workflowID }));
    results.set(workflowID, (await request(() => handle.getResult())) as OrderResult);
    expect(await request(() => client.getEvent(workflowID, 'progress', 0))).toBe(n);
  };
  const work = async (): Promise<void> => {
    while (!over) await one(started++);
  };
  const working = Promise.all(Array.from({ length: atOnce }, work));
  // Looked at in the end; until then it is nobody's fault.
  working.catch(() => {});

  return {
    get started() {
      return started;
    },
    refused,
    finish: async () => {
      over = true;
      await working;
      expect(results.size).toBe(started);
      for (const [workflowID, result] of results) {
        const n = Number(workflowID.slice('order-'.length));
        expect(result).toMatchObject({ entered: 'entered', paid: `paid ${n}`, wrapped: `wrapped ${n}` });
      }
      await expectOnce(fleet);
      const messages = await fleet.sql<{ destination: string }>(
        `SELECT destination FROM pawl.message WHERE destination LIKE 'order-%'
         GROUP BY 1 HAVING count(*) <> 2 OR count(*) FILTER (WHERE topic = 'paid') <> 1`,
      );
      expect(messages).toEqual([]);
      const unfinished = await fleet.sql(
        `SELECT id, status FROM pawl.workflow WHERE id LIKE 'order-%' AND status <> 'SUCCESS'`,
      );
      expect(unfinished).toEqual([]);
      const differing = await fleet.sql<{ id: string; output: string }>(
        `SELECT id, output FROM pawl.workflow WHERE name = 'order'`,
      );
      const recorded = await fleet.sql<{ workflow_id: string; tokens: string[] }>(
        `SELECT workflow_id, array_agg(output::json #>> '{}' ORDER BY step_id) AS tokens FROM pawl.step
         WHERE kind = 'step' AND name <> 'wrap' GROUP BY 1`,
      );
      const tokens = new Map(recorded.map((row) => [row.workflow_id, row.tokens]));
      for (const { id, output } of differing) {
        expect(JSON.parse(output)).toEqual(results.get(id));
        expect(results.get(id)?.tokens, id).toEqual(tokens.get(id));
      }
      const [most] = await fleet.sql<{ attempts: number }>(
        'SELECT max(attempts) AS attempts FROM pawl.workflow',
      );
      return { orders: started, mostAttempts: most?.attempts ?? 0 };
    },
    close: () => client.close(),
  };
}
