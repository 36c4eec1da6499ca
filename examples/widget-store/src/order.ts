// Buys a widget from the command line, while the shop runs: `pnpm order`. Asks not to be kept waiting, then follows its
// order by the status routes: what a script, a mobile app or another service does.
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const ASK_AGAIN_MS = 500;
const ATTEMPTS = 40;

/** Asks until there is an answer: a shop that is down, or starting, is back in a moment. */
async function ask(url: URL, init: RequestInit = {}): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, init).catch(() => undefined);
    if (response !== undefined && response.status < 500) return response;
    if (attempt === ATTEMPTS)
      throw new Error(`${url.origin} does not answer. Is the shop open? npx pnpm start`);
    await pause(ASK_AGAIN_MS);
  }
}

/** The events of a workflow, each once and in order, over lost connections too; returns after `end`. */
async function* follow(url: URL): AsyncGenerator<{ event: string; data: unknown }> {
  for (let last = ''; ;) {
    const response = await ask(url, last === '' ? {} : { headers: { 'Last-Event-ID': last } });
    if (response.status === 204) return;
    if (response.status === 404) {
      await pause(ASK_AGAIN_MS); // not there yet
      continue;
    }
    let event = '';
    try {
      const lines = createInterface({ input: Readable.fromWeb(response.body as ReadableStream<Uint8Array>) });
      for await (const line of lines) {
        const [, field, value = ''] = /^(id|event|data): (.*)$/.exec(line) ?? [];
        if (field === 'id') last = value;
        else if (field === 'event') event = value;
        else if (field === 'data' && event === 'end') return;
        else if (field === 'data') yield { event, data: JSON.parse(value) };
      }
    } catch {
      // The connection was lost; the next one goes on behind the last event.
    }
  }
}

/** Orders, pays, and waits until the widget is delivered. */
export async function order(
  shop: string,
  tell: (line: string) => void,
  key: string = randomUUID(),
): Promise<void> {
  const buy = (headers: Record<string, string> = {}) =>
    ask(new URL('/orders', shop), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, ...headers },
      body: JSON.stringify({ product: 'widget' }),
    });
  const accepted = await buy({ Prefer: 'respond-async' });
  if (accepted.status !== 202 && accepted.status !== 201) {
    tell(`${accepted.status}: ${await accepted.text()}`);
    return;
  }
  const location = accepted.headers.get('Location');
  tell(`${accepted.status} ${location ?? 'answered before'}`);

  let final = await buy();
  while (final.status === 409) {
    await pause(1000 * Number(final.headers.get('Retry-After') ?? 1));
    final = await buy(); // the same key: the final answer, once there is one
  }
  if (final.status !== 201) {
    tell(`${final.status}: ${await final.text()}`);
    return;
  }
  const { orderID, reference, url } = (await final.json()) as {
    orderID: string;
    reference: string;
    url: string;
  };
  tell(`${final.status} order ${reference}`);
  await ask(new URL(url, shop), {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: 'decision=confirm',
    redirect: 'manual',
  });
  const workflow = new URL(`/workflows/${encodeURIComponent(orderID)}/result?wait=30`, shop);
  let result = await ask(workflow);
  while (result.status === 202) result = await ask(workflow);
  tell(`${result.status} ${await result.text()}`);
  const dispatch = new URL(`/workflows/${encodeURIComponent(`${orderID}-dispatch`)}/events`, shop);
  for await (const { event, data } of follow(dispatch)) {
    const { stage, done, of } = data as { stage: string; done: number; of: number };
    tell(`${event} ${done}/${of} ${stage}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await order(process.argv[2] ?? 'http://localhost:3000', (line) => console.log(line), process.argv[3]);
