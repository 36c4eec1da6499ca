// `http.endpoint()`: a key whose workflow was deleted before anybody asked for its answer.
import { describe, expect, test } from 'vitest';
import { appUnderTest } from './app-under-test.ts';
import { type Framework, frameworks } from './frameworks.ts';

describe('a key whose workflow has ended and was deleted', () => {
  const app = appUnderTest(frameworks[0] as Framework);

  test('is told that the answer is gone; the work is not done again', async () => {
    let runs = 0;
    const charge = app.register('charge', async () => (runs += 1));
    app.serve((routes) => routes.endpoint('/charges', charge));
    const key = app.newKey();
    const first = await app.post('/charges', key).set('Prefer', 'respond-async').expect(202);
    const { workflowID } = first.body as { workflowID: string };
    await app.pawl.retrieveWorkflow(workflowID).getResult();
    await app.pawl.deleteWorkflow(workflowID);

    const gone = await app.post('/charges', key).expect(409);
    expect(gone.body).toMatchObject({ code: 'response-unavailable', workflowID });
    await app.post('/charges', key, { another: 'request' }).expect(422);
    expect(runs).toBe(1);
    expect(
      await app.sql(`SELECT state, expires_at > now() + interval '29 days' AS kept FROM pawl.http_request`),
    ).toEqual([{ state: 'done', kept: true }]);
  });
});
