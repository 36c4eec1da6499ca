// Many callers who use the same keys on the same routes: nobody ever sees anything of another one. Requests at random
// are compared with a model that keeps what belongs to each caller apart.
import type { Workflow } from '@pawl/core';
import { beforeAll, expect, test } from 'vitest';
import { describeOnEach } from './app-under-test.ts';

const CALLERS = ['ann', 'bob', 'an', 'n', 'ann:', ':ann', '5:ann', 'a%6en', 'ANN', 'global'];
const KEYS = ['k', 'K', 'ann', '1', 'k/things'];
const PATHS = ['/things', '/orders', '/things/k'];
const REQUESTS = 100;

/** Linear congruential, enough to pick by. */
function picker(seed: number) {
  let state = seed;
  return <T>(from: readonly T[]): T => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return from[Math.floor((state / 2 ** 32) * from.length)] as T;
  };
}

describeOnEach('isolation', (app) => {
  let order: Workflow<[of: { caller: string; note: string }], object>;
  let runs = 0;

  beforeAll(() => {
    order = app.register('order', async (of: { caller: string; note: string }) => ({
      ...of,
      run: (runs += 1),
    }));
  });

  test('random pairs of callers never see each other', async () => {
    app.serve((routes) => {
      const handler = ({ body }: { body: unknown }) => ({ json: { ...(body as object), run: (runs += 1) } });
      routes.idempotent('/things', {}, handler);
      routes.idempotent('/things/k', {}, handler);
      routes.endpoint('/orders', order);
    });
    const pick = picker(8);
    const known = new Map<string, { note: string; text: string }>();
    let replays = 0;
    for (let count = 0; count < REQUESTS; count += 1) {
      const [caller, key, path, note] = [
        pick(CALLERS),
        pick(KEYS),
        pick(PATHS),
        pick(['one secret', 'two secrets']),
      ];
      const mine = `${app.framework.name}-${key}`;
      const body = { caller, note: `${note} of ${caller}` };
      const response = await app.post(path, mine, body).set('X-User', `${app.framework.name} ${caller}`);
      const earlier = known.get(JSON.stringify([caller, key, path]));
      if (earlier === undefined) {
        expect(response.headers['idempotent-replayed']).toBeUndefined();
        expect(response.body).toEqual({ ...body, run: runs });
        known.set(JSON.stringify([caller, key, path]), { note, text: response.text });
      } else if (earlier.note === note) {
        replays += 1;
        expect([response.status, response.text]).toEqual([200, earlier.text]);
      } else {
        expect([response.status, response.body.code]).toEqual([422, 'idempotency-key-reused']);
        // Of the earlier request not even its owner is told.
        expect(response.text).not.toContain('secret');
      }
    }
    expect(replays).toBeGreaterThan(5);
    // Neither who they are nor their keys can be had back from what is stored beside the answers.
    const rows = await app.sql('SELECT id, fingerprint, owner, headers FROM pawl.http_request');
    expect(JSON.stringify(rows)).not.toMatch(/\d ann|secret|k\/things/);
  });
});
