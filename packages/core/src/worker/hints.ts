// Hints between processes: who is told that something may be waiting for it. Sent outside every data transaction
// and gathered per turn; a lost hint costs one tick, never a message.
//
//   pawl:{schema}            'r'       something became claimable
//                            'q'       something waits in a queue
//   pawl:{schema}:{number}   'w{id}'   look at this workflow
//                            'c{fence} {id}'   this run of it was cancelled or moved

import type { Database, Listener, Queryable } from '../store/database.ts';
import { schemaClass } from '../store/schema-name.ts';

export interface Hints {
  /** Listens as this incarnation. `onConnect` runs on each new connection. */
  open(
    executor: number,
    onConnect: (connection: Queryable) => Promise<void>,
    onLost: () => void,
  ): Promise<void>;
  /** A parked or handed-over workflow became due. */
  ready(): void;
  /** Something waits in a queue, and its process cannot take it. */
  queued(): void;
  /** To the process that runs or waits for it. */
  tell(executor: number, workflowID: string): void;
  tellCancelled(executor: number, workflowID: string, fence: number): void;
  /** The listening connection, while there is one. */
  readonly connection: Queryable | undefined;
  close(): Promise<void>;
}

export interface HintHandlers {
  onReady: () => void;
  onQueued: () => void;
  onWorkflow: (workflowID: string) => void;
  onCancelled: (workflowID: string, fence: number) => void;
}

const MAX_PAYLOAD = 7000;

export function createHints(database: Database, handlers: HintHandlers): Hints {
  const everyone = `pawl:${schemaClass(database.schema)}`;
  let listener: Listener | undefined;
  let scheduled = false;
  const outbox = new Map<string, Set<string>>();

  const flush = (): void => {
    scheduled = false;
    for (const [channel, payloads] of outbox) listener?.notify(channel, [...payloads]);
    outbox.clear();
  };

  const post = (channel: string, payload: string): void => {
    if (Buffer.byteLength(payload) > MAX_PAYLOAD) return;
    const payloads = outbox.get(channel);
    if (payloads === undefined) outbox.set(channel, new Set([payload]));
    else payloads.add(payload);
    if (!scheduled) {
      scheduled = true;
      setImmediate(flush);
    }
  };

  return {
    open: async (executor, onConnect, onLost) => {
      listener = await database.listen({
        channels: [everyone, `${everyone}:${executor}`],
        onConnect,
        onLost,
        onMessage: (_channel, payload) => {
          if (payload === 'r') handlers.onReady();
          else if (payload === 'q') handlers.onQueued();
          else if (payload.startsWith('c')) {
            const cut = payload.indexOf(' ');
            handlers.onCancelled(payload.slice(cut + 1), Number(payload.slice(1, cut)));
          } else if (payload.startsWith('w')) handlers.onWorkflow(payload.slice(1));
        },
      });
    },
    ready: () => post(everyone, 'r'),
    queued: () => post(everyone, 'q'),
    tell: (executor, workflowID) => post(`${everyone}:${executor}`, `w${workflowID}`),
    tellCancelled: (executor, workflowID, fence) =>
      post(`${everyone}:${executor}`, `c${fence} ${workflowID}`),
    get connection() {
      return listener?.connection;
    },
    close: async () => {
      flush();
      await listener?.close();
      listener = undefined;
    },
  };
}
