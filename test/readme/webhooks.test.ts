// docs/webhooks.md: every sample takes what its provider sends, once, and refuses what somebody else sends.
import { createHmac } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Pawl, Workflow } from '@pawl/core';
import request from 'supertest';
import { Stripe } from 'stripe';
import { beforeAll, expect, test, vi } from 'vitest';
import { samplesIn } from './samples.ts';
import * as yours from './surroundings/your-orders.ts';

const { sample, run, save, atEnd } = samplesIn('docs/webhooks.md');
const WHSEC = `whsec_${Buffer.from('0123456789abcdef01234567').toString('base64')}`;
const SECRETS = {
  ...{ STRIPE_WEBHOOK_SECRET: 'whsec_stripe', GITHUB_SECRET: 'new' },
  ...{ BILLING_SECRET: WHSEC, SLACK_SIGNING_SECRET: 'slack', PARTNER_TOKEN: 'token' },
};
let shop: Server;
let koa: Server;
let expense: Workflow<[{ amount: number; manager: string }], string>;

const listen = (app: RequestListener): Server => {
  const server = createServer(app).listen(0, '127.0.0.1');
  atEnd(() => new Promise((resolve) => server.close(resolve)));
  return server;
};

beforeAll(async () => {
  for (const [name, value] of Object.entries(SECRETS)) vi.stubEnv(name, value);
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  // The one that parses in front of it all must come last.
  for (const has of ["name: 'billing'", "name: 'slack'", "name: 'partner'"])
    await import(save(has.replaceAll(/\W/g, ''), sample(has)));
  const hooks = await run<{ expense: typeof expense }>('hooks', sample('HookRejectedError'));
  ({ expense } = hooks);
  const { app } = (await import(save('github', sample("name: 'github'")))) as {
    app: { callback(): RequestListener };
  };
  await import(save('late', sample("name: 'late'")));
  await yours.pawl.launch();
  atEnd(() => yours.pawl.shutdown({ graceSeconds: 0 }));
  shop = listen(yours.app);
  koa = listen(app.callback());
});

const mac = (secret: string | Buffer, text: string) => createHmac('sha256', secret).update(text);
const seconds = () => String(Math.floor(Date.now() / 1000));

async function waiting(): Promise<string> {
  return (await yours.pawl.startWorkflow(yours.order)()).workflowID;
}
const result = (id: string) => yours.pawl.retrieveWorkflow(id).getResult();

/** The headers of a delivery are made anew for each try, as senders do. */
async function once(
  server: Server,
  path: string,
  body: string,
  headers: () => Record<string, string>,
): Promise<void> {
  const post = (more: Record<string, string>) => request(server).post(path).type('json').set(more).send(body);
  await post({}).expect(401);
  await post(headers()).expect(202);
  await post(headers()).expect(200).expect('Webhook-Duplicate', 'true');
}

const standard = (id: string, body: string) => (): Record<string, string> => {
  const time = seconds();
  const key = Buffer.from(WHSEC.slice(6), 'base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': time,
    'webhook-signature': `v1,${mac(key, `${id}.${time}.${body}`).digest('base64')}`,
  };
};

test('Stripe: the payment reaches its order', async () => {
  const { server, pawl, order } = await run<{
    server: Server;
    pawl: Pawl;
    order: Workflow<[string], string>;
  }>(
    'stripe',
    `${sample('verify.stripe', { 'app.listen(3000)': 'export const server = app.listen(0)' })}export { pawl };`,
  );
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  atEnd(() => new Promise((resolve) => server.close(resolve)));
  const { workflowID: orderID } = await pawl.startWorkflow(order)('cup');
  const payload = JSON.stringify({
    id: 'evt_1',
    type: 'payment_intent.succeeded',
    data: { object: { id: 'pi_1', amount: 300, metadata: { orderID } } },
  });
  const { webhooks } = new Stripe('sk_test_none');
  await once(server, '/webhooks/stripe', payload, () => ({
    'stripe-signature': webhooks.generateTestHeaderString({ payload, secret: 'whsec_stripe' }),
  }));
  expect(await pawl.retrieveWorkflow(orderID).getResult()).toBe('cup for 300');
});

test('GitHub: a push to main is deployed', async () => {
  const body = JSON.stringify({ ref: 'refs/heads/main', after: 'c0ffee', repository: { full_name: 'a/b' } });
  await once(koa, '/webhooks/github', body, () => ({
    'x-github-event': 'push',
    'x-github-delivery': 'delivery-1',
    'x-hub-signature-256': `sha256=${mac('new', body).digest('hex')}`,
  }));
  await expect
    .poll(async () => {
      const { workflows } = await yours.pawl.listWorkflows({ name: 'deploy', load: ['output'] });
      return workflows.map(({ output }) => String(output));
    })
    .toEqual(['a/b at c0ffee']);
});

test.each(['billing', 'late'])('Standard Webhooks, on the route %s', async (name) => {
  const orderID = await waiting();
  const body = JSON.stringify({ type: 'invoice.paid', data: { orderID, amount: 3 } });
  await once(shop, `/webhooks/${name}`, body, standard(`msg_${name}`, body));
  expect(await result(orderID)).toEqual(name === 'billing' ? 3 : JSON.parse(body));
});

test('Slack, as an example of HMAC', async () => {
  const id = await waiting();
  const body = JSON.stringify({ event_id: 'Ev1', event: { type: 'message', text: id } });
  await once(shop, '/webhooks/slack', body, () => {
    const time = seconds();
    const signature = `v0=${mac('slack', `v0:${time}:${body}`).digest('hex')}`;
    return { 'x-slack-request-timestamp': time, 'x-slack-signature': signature };
  });
  expect(await result(id)).toBe('message');
});

test('a check of your own', async () => {
  const order = await waiting();
  await once(shop, '/webhooks/partner', JSON.stringify({ order }), () => ({ 'x-token': 'token' }));
  expect(await result(order)).toEqual({ order });
});

test('hooks: somebody approves, somebody refuses', async () => {
  const ask = async (manager: string) => {
    const { workflowID } = await yours.pawl.startWorkflow(expense)({ amount: 3, manager });
    const find = () => yours.mails.find(({ to }) => to === manager)?.url;
    await expect.poll(find).toMatch(/^https:\/\/shop\.example\/hooks\/[\w-]{22}$/);
    return { workflowID, path: new URL(find() as string).pathname };
  };
  const [ada, bob] = [await ask('ada'), await ask('bob')];
  await request(shop).post(ada.path).send({ comment: 'gladly' }).expect(202, { status: 'resolved' });
  await request(shop)
    .post(`${bob.path}/reject`)
    .send('too much')
    .type('text')
    .expect(202, { status: 'rejected' });
  await request(shop).post(bob.path).send({}).expect(409);
  expect(await result(ada.workflowID)).toBe('approved: gladly');
  expect(await result(bob.workflowID)).toBe('refused: "too much"');
});
