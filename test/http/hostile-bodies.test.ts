// Bodies that are well-formed and meant to hurt, on every kind of route.
import { verify } from '@pawl/core/http';
import request from 'supertest';
import { describe, expect, test } from 'vitest';
import { appUnderTest } from './app-under-test.ts';
import { frameworks } from './frameworks.ts';

describe.each(frameworks)('hostile bodies on $name', (framework) => {
  const app = appUnderTest(framework);

  test('JSON that is nested too deeply is the client\u2019s fault, and no key is used up', async () => {
    const take = app.register('take', async (value: unknown) => typeof value);
    const asking = app.register('asking', async () => {
      const { token } = await app.pawl.createHook('answer');
      await app.pawl.setEvent('token', token);
      return app.pawl.recv('answer', 60);
    });
    const id = `asking on ${framework.name}`;
    await app.pawl.startWorkflow(asking, { workflowID: id })();
    const token = await app.pawl.getEvent<string>(id, 'token');
    app.serve((routes) => {
      routes.idempotent('/before', {}, () => ({ json: 'done' }), 'before');
      routes.endpoint('/orders', take);
      routes.webhook('/events', {
        name: framework.name,
        verify: verify.unsafeNone(),
        route: () => ({ start: take }),
      });
      routes.workflows('/workflows', { authorize: () => true, messages: true });
      routes.hooks('/hooks');
    });
    const deep = '['.repeat(30_000) + ']'.repeat(30_000);
    const key = app.newKey();
    const paths = ['/before', '/orders', '/events', `/workflows/${encodeURIComponent(id)}/messages/other`];
    for (const path of [...paths, `/hooks/${token}`]) {
      const asked = (body: string) =>
        request(app.server).post(path).set('Idempotency-Key', key).type('json').send(body);
      const refused = await asked(deep);
      expect([path, refused.status, refused.body.code]).toEqual([path, 400, 'body-malformed']);
      expect([path, (await asked('{"a":[{}]}')).status]).toEqual([path, expect.toBeOneOf([200, 202])]);
    }
  });
});
