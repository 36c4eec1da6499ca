// One trace over a request, a start, steps, a child, a message, a webhook and a process that is killed in the middle.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SpanKind } from '@opentelemetry/api';
import { createDatabase } from '@pawl/test-support';
import request from 'supertest';
import { afterAll, expect, test, vi } from 'vitest';
import type { Seen } from './seen.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'pawl-trace-'));
const children = new Set<ChildProcess>();

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

interface Shop {
  readonly url: string;
  readonly lines: Interface;
  kill(): Promise<void>;
}

async function startShop(...args: string[]): Promise<Shop> {
  const file = fileURLToPath(new URL('processes/shop.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', '--conditions=@pawl/source', file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  const lines = createInterface({ input: child.stdout });
  const died = once(child, 'exit').then(([code]) => {
    throw new Error(`The shop ended before it was open (${String(code)}).`);
  });
  const [port] = (await Promise.race([once(lines, 'line'), died])) as [string];
  died.catch(() => {});
  return {
    url: `http://127.0.0.1:${port}`,
    lines,
    kill: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

const client = { traceID: 'c'.repeat(32), spanID: 'd'.repeat(16) };
const provider = { traceID: 'e'.repeat(32), spanID: 'f'.repeat(16) };
const traceparent = ({ traceID, spanID }: typeof client): string => `00-${traceID}-${spanID}-01`;

/** What must not come into any span: a key, a tenant, what is in a request and what is in a message. */
const CANARIES = { key: 'canary-key', tenant: 'canary-tenant', order: 'canary-order', money: 'canary-money' };

async function database(kind: string): Promise<{ url: string; drop: () => Promise<void> }> {
  if (kind === 'a server') return createDatabase();
  return { url: path.join(directory, 'embedded'), drop: async () => {} };
}

test.concurrent.each([
  ['express5', 'a server'],
  ['koa3', 'an embedded database'],
])(
  'after a crash, %s on %s: the same trace, a new run with a link to the old one',
  { timeout: 180_000 },
  async (framework, kind) => {
    const { url, drop } = await database(kind);
    const file = path.join(directory, `${framework}.jsonl`);
    const spans = (): Seen[] =>
      existsSync(file)
        ? readFileSync(file, 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as Seen)
        : [];
    const named = (name: string) => spans().filter((span) => span.name === name);
    const one = (name: string): Promise<Seen> =>
      vi.waitFor(() => {
        const [span, ...others] = named(name);
        if (span === undefined || others.length > 0) throw new Error(`${name}: ${named(name).length} spans`);
        return span;
      }, 60_000);

    const first = await startShop(framework, url, file);
    const charging = once(first.lines, 'line');
    const accepted = await request(first.url)
      .post('/orders?secret=canary-order')
      .set({
        traceparent: traceparent(client),
        'X-Tenant': CANARIES.tenant,
        'Idempotency-Key': CANARIES.key,
        Prefer: 'respond-async',
      })
      .send({ item: CANARIES.order })
      .expect(202);
    const { workflowID } = accepted.body as { workflowID: string };
    await request(first.url).get(`/workflows/${workflowID}`).expect(200);
    await request(first.url)
      .post('/webhooks/payment')
      .set('traceparent', traceparent(provider))
      .send({ id: CANARIES.key, orderID: workflowID, money: CANARIES.money })
      .expect(202);
    expect(await charging).toEqual(['charging']);
    // The span of a request ends after its answer was sent.
    await one('POST /webhooks/payment');
    await first.kill();

    const before = spans();
    const second = await startShop(framework, url, file);
    const run = await one('run checkout');
    await request(second.url)
      .post('/orders?secret=canary-order')
      .set({ 'X-Tenant': CANARIES.tenant, 'Idempotency-Key': CANARIES.key })
      .send({ item: CANARIES.order })
      .expect(201);
    await vi.waitFor(() => expect(named('POST /orders')).toHaveLength(2), 10_000);
    await second.kill();
    await drop();

    const [server, replayed] = named('POST /orders');
    expect(server).toMatchObject({
      kind: SpanKind.SERVER,
      traceID: client.traceID,
      parentID: client.spanID,
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/orders',
        'http.response.status_code': 202,
        'idempotency.outcome': 'new',
        'pawl.workflow.id': workflowID,
      },
    });
    expect(replayed?.attributes).toMatchObject({ 'idempotency.outcome': 'in-flight' });
    expect((await one('GET /workflows/:id')).attributes['http.route']).toBe('/workflows/:id');

    const [start, ...joined] = named('start checkout') as [Seen, ...Seen[]];
    expect(joined.map(({ attributes }) => attributes['pawl.outcome'])).toEqual(['existing']);
    expect(start).toMatchObject({ kind: SpanKind.PRODUCER, parentID: server?.spanID });
    const died = (await one('step reserve')).parentID;
    expect(run).toMatchObject({
      kind: SpanKind.CONSUMER,
      traceID: client.traceID,
      parentID: start.spanID,
      links: [{ traceID: client.traceID, spanID: died }],
      attributes: { 'pawl.recovery': true, 'pawl.replayed_steps': 5, 'pawl.outcome': 'success' },
    });
    expect(run.spanID).not.toBe(died);

    for (const [name, parentID] of [
      ['step reserve', died],
      ['call the stock', (await one('step reserve')).spanID],
      ['start dispatch', died],
      ['run dispatch', (await one('start dispatch')).spanID],
      ['step pack', (await one('run dispatch')).spanID],
      ['send booked', died],
      ['receive payment', died],
      ['step charge', run.spanID],
      ['step ship', run.spanID],
    ] as const)
      expect(await one(name)).toMatchObject({ traceID: client.traceID, parentID });
    expect(before.map(({ name }) => name)).not.toContain('step charge');

    // Of the body's own spans each is there once, but for the one that was open.
    for (const name of ['body begins', 'body goes on', 'body before the crash', 'body after the crash'])
      await one(name);
    expect((await one('body after the crash')).parentID).toBe(run.spanID);
    expect(named('around it all')).toEqual([]);

    const webhook = await one('POST /webhooks/payment');
    expect(webhook).toMatchObject({
      kind: SpanKind.SERVER,
      links: [provider],
      attributes: { 'pawl.workflow.id': workflowID },
    });
    expect(webhook.parentID).toBeUndefined();
    expect([client.traceID, provider.traceID]).not.toContain(webhook.traceID);
    const send = await one('send payment');
    expect(send).toMatchObject({ traceID: webhook.traceID, parentID: webhook.spanID });
    const toSend = { traceID: send.traceID, spanID: send.spanID };
    expect(await one('receive payment')).toMatchObject({ kind: SpanKind.CLIENT, links: [toSend] });

    const text = readFileSync(file, 'utf8');
    for (const canary of Object.values(CANARIES)) expect(text).not.toContain(canary);
  },
);
