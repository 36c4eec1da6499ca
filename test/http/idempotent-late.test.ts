// `http.idempotent()` while the database is slow: a claim that comes through when its client has been sent away.
import type { Pawl } from '@pawl/core';
import { describe, expect, test } from 'vitest';
import { appUnderTest } from './app-under-test.ts';
import { type Framework, frameworks } from './frameworks.ts';

describe('a retry whose claim comes too late', () => {
  const app = appUnderTest(frameworks[0] as Framework);

  function counted(pawl: Pawl) {
    let runs = 0;
    const workflow = pawl.registerWorkflow(async () => (runs += 1), { name: 'charge' });
    return { workflow, count: () => runs };
  }

  test('leaves the key as it was: the next one finds the workflow of the first attempt, and no other request fits', async () => {
    const { workflow, count } = counted(app.pawl);
    let attempts = 0;
    app.serve((routes) =>
      routes.idempotent('/charges', {}, async () => {
        attempts += 1;
        const handle = await app.pawl.startWorkflow(workflow)();
        const charge = await handle.getResult();
        return { status: attempts === 1 ? 500 : 201, json: { charge, id: handle.workflowID } };
      }),
    );
    const key = app.newKey();
    const first = await app.post('/charges', key).expect(500);

    await app.sql('BEGIN');
    await app.sql('SELECT 1 FROM pawl.http_request FOR UPDATE');
    await app.post('/charges', key).expect(503);
    await app.sql('COMMIT');
    await expect
      .poll(() => app.sql('SELECT state, attempt FROM pawl.http_request'))
      .toEqual([{ state: 'failed', attempt: 2 }]);

    await app.post('/charges', key, { another: 'request' }).expect(422);
    const last = await app.post('/charges', key).expect(201);
    expect(last.body).toEqual(first.body);
    expect([attempts, count()]).toEqual([2, 1]);
  });
});
