// The end of a connection: said to the server, and after a while no longer waited for. A server that fell silent hangs up
// on nobody, and an open socket keeps the process from ending.

import type pg from 'pg';

export const CLOSE_MS = 3000;

export async function endClient(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => destroyClient(client, 'it did not hang up'), CLOSE_MS);
  await client.end().catch(() => {});
  clearTimeout(timer);
}

/** Without a word to the server. Whoever waits for an answer gets this as an error. */
export function destroyClient(client: pg.ClientBase, why: string): void {
  (
    client as unknown as { connection: { stream: { destroy(error: Error): void } } }
  ).connection.stream.destroy(new Error(`Connection terminated: ${why}`));
}
