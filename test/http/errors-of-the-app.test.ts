// What the app's own functions throw goes to the app's own error handling, whatever it looks like.
import { verify } from '@pawl/core/http';
import { describe, expect, test } from 'vitest';
import { appUnderTest } from './app-under-test.ts';
import { frameworks } from './frameworks.ts';

describe.each(frameworks)('errors of the app on $name', (framework) => {
  const app = appUnderTest(framework);

  test('a service of its own that refuses connections is not reported as our database', async () => {
    const refused = (): never => {
      throw Object.assign(new Error('connect to auth.internal'), { code: 'ECONNREFUSED' });
    };
    const take = app.register('take', async () => 1);
    const fail = app.register('fail', async () => Promise.reject(new Error('as it should')));
    const id = `take-${framework.name}`;
    await (await app.pawl.startWorkflow(take, { workflowID: id })()).getResult();
    app.serve((routes) => {
      routes.endpoint('/input', take, { input: refused });
      routes.endpoint('/reply', take, { reply: refused });
      routes.endpoint('/replyError', fail, { replyError: refused });
      routes.webhook('/route', { name: `r-${framework.name}`, verify: verify.unsafeNone(), route: refused });
      const verifier = { ...verify.unsafeNone(), verify: refused };
      routes.webhook('/verify', { name: `v-${framework.name}`, verify: verifier, route: () => null });
      routes.workflows('/workflows', { authorize: refused });
    });
    for (const path of ['/input', '/reply', '/replyError', '/route', '/verify']) {
      const answer = await app.post(path, app.newKey());
      expect([path, answer.status, answer.body]).toEqual([path, 500, { error: 'connect to auth.internal' }]);
    }
    const answer = await app.get(`/workflows/${id}`);
    expect([answer.status, answer.body]).toEqual([500, { error: 'connect to auth.internal' }]);
  });
});
