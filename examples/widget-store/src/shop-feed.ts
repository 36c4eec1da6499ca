// The live shop for every page that watches it: server-sent events from one query, however many watch.
// Nobody watches: no query.
import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { readShop, type Shop } from './shop.ts';
import { pawl } from './workflows.ts';

const INTERVAL_MILLISECONDS = 250;

const watchers = new Set<ServerResponse>();
let latest = '';
let running = false;

/** The whole shop at one instant. */
export function shopNow(): Promise<Shop> {
  return pawl.runTransaction(readShop, { readOnly: true, isolationLevel: 'REPEATABLE READ' });
}

/** Sends the shop as it is, and again whenever it has changed, until the client goes. */
export function watchShop(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  response.flushHeaders();
  response.on('close', () => watchers.delete(response));
  watchers.add(response);
  latest = ''; // whoever has just come has seen nothing yet
  if (!running) void feed();
}

export function stopFeed(): void {
  for (const watcher of watchers) watcher.end();
  watchers.clear();
}

async function feed(): Promise<void> {
  running = true;
  while (watchers.size > 0) {
    const shop = await shopNow().then(JSON.stringify, () => latest); // while the database is away there is no news
    if (shop !== latest) for (const watcher of watchers) watcher.write(`data: ${shop}\n\n`);
    latest = shop;
    await pause(INTERVAL_MILLISECONDS);
  }
  running = false;
}
