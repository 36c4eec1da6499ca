// The load test: many clients buy at once, each sends its request three times, each webhook comes twice, and the
// shop's process is killed again and again. Then the books must add up: `pnpm load`, or loadTest() in a test.
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { type RunningShop, startShop } from './start-shop.ts';
import type { Shop } from './shop.ts';

export interface LoadResult {
  clients: number;
  crashes: number;
  paid: number;
  cancelled: number;
  seconds: number;
  /** What should not be. Empty: all is well. */
  violations: string[];
}

interface Answer {
  status: number;
  body: string;
}

const SAME_KEY = 3;
const GIVE_UP_MILLISECONDS = 120_000;

export async function loadTest(
  shop: RunningShop,
  {
    clients = 50,
    crashes = 8,
    random = Math.random,
  }: { clients?: number; crashes?: number; random?: () => number } = {},
): Promise<LoadResult> {
  const startedAt = performance.now();
  const violations: string[] = [];
  const before = await readShop(shop);
  const keys = Array.from({ length: clients }, () => `load-${crypto.randomUUID()}`);
  const answers = new Map<string, Answer>();

  const buying = Promise.all(keys.map((key, index) => buy(key, index % 5 === 4 ? 'cancel' : 'confirm')));
  const [decisions, crashed] = await Promise.all([buying, crashRepeatedly()]);

  async function buy(key: string, decision: 'confirm' | 'cancel') {
    await pause(random() * 6_000);
    const got = await Promise.all(Array.from({ length: SAME_KEY }, () => post(shop, key)));
    const [first] = got as [Answer, ...Answer[]];
    answers.set(key, first);
    for (const answer of got) {
      if (answer.body !== first.body || answer.status !== first.status)
        violations.push(`two answers to key ${key}`);
    }
    if (first.status !== 201) {
      violations.push(`${first.status} instead of 201: ${first.body}`);
      return null;
    }
    const { url, orderID } = JSON.parse(first.body) as { url: string; orderID: string };
    await fetch(new URL(url, shop.url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: `decision=${decision}`,
      redirect: 'manual',
    });
    return { orderID, decision };
  }

  async function crashRepeatedly(): Promise<number> {
    let done = 0;
    while (done < crashes && performance.now() - startedAt < GIVE_UP_MILLISECONDS) {
      await pause(200 + random() * 1_200);
      if (shop.pid === null) continue;
      shop.kill();
      done += 1;
      await until(() => shop.pid !== null);
    }
    return done;
  }

  const settled = async () => {
    const now = await readShop(shop);
    return now.orders.every(({ status }) => status === 'delivered' || status === 'cancelled');
  };
  if (!(await until(settled))) violations.push('some orders never ended');

  const after = await readShop(shop);
  const { supplied, stock, ordered } = after.books;
  const made = after.orders.filter(({ id }) => !before.orders.some((order) => order.id === id));
  if (stock + ordered !== supplied)
    violations.push(`${supplied} supplied, but ${stock} in stock and ${ordered} ordered`);
  if (made.length !== clients) violations.push(`${made.length} orders for ${clients} keys`);
  for (const { orderID, decision } of decisions.flatMap((decided) => decided ?? [])) {
    const order = made.find(({ id }) => id === orderID);
    const expected = decision === 'confirm' ? 'pick,pack,ship,deliver' : '';
    if (order?.stages.join() !== expected)
      violations.push(`order ${orderID}, ${decision}: ${order?.stages.join()}`);
  }
  for (const [key, first] of answers) {
    const replay = await post(shop, key);
    if (replay.body !== first.body) violations.push(`key ${key} was answered differently later`);
  }

  const cancelled = made.filter(({ status }) => status === 'cancelled').length;
  const seconds = (performance.now() - startedAt) / 1000;
  return { clients, crashes: crashed, paid: made.length - cancelled, cancelled, seconds, violations };
}

/** One purchase, tried until there is a final answer. */
async function post(shop: RunningShop, key: string): Promise<Answer> {
  const deadline = performance.now() + GIVE_UP_MILLISECONDS;
  for (;;) {
    try {
      const response = await fetch(new URL('/orders', shop.url), {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
        body: JSON.stringify({ product: 'widget' }),
      });
      const body = await response.text();
      const { retryable } = JSON.parse(body) as { retryable?: boolean };
      if (response.status !== 202 && !retryable) return { status: response.status, body };
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    if (performance.now() > deadline) return { status: 0, body: 'no final answer' };
    await pause(150);
  }
}

async function readShop(shop: RunningShop): Promise<Shop> {
  for (;;) {
    const response = await fetch(new URL('/shop', shop.url)).catch(() => null);
    if (response?.ok) return (await response.json()) as Shop;
    await pause(100);
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + GIVE_UP_MILLISECONDS;
  while (performance.now() < deadline) {
    if (await condition()) return true;
    await pause(50);
  }
  return false;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: { clients: { type: 'string', default: '50' }, crashes: { type: 'string', default: '8' } },
  });
  const databaseURL = process.env['DATABASE_URL'];
  const server = process.env['SERVER'] === 'koa' ? 'koa' : 'express';
  const shop = await startShop({ server, ...(databaseURL ? { databaseURL } : {}) });
  const result = await loadTest(shop, { clients: Number(values.clients), crashes: Number(values.crashes) });
  console.log(result);
  await shop.stop();
  process.exitCode = result.violations.length === 0 ? 0 : 1;
}
