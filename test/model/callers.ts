// Callers from outside: they start, send, cancel, resume, fork and forget, and hold rows in transactions of their own.
import { ANYBODY } from '../../packages/core/src/engine/starts.ts';
import { cancel, forget, fork, type Owned, resume } from '../../packages/core/src/store/lifecycle.ts';
import type { Side } from './connections.ts';
import { delayTask, queuedPart } from './dispatch.ts';
import type { Process } from './process.ts';
import type { Offer, Shared, Task } from './tasks.ts';

export interface Callers {
  /** Without a word to who runs it. */
  cancel(id: string): Task;
  resume(id: string): Task;
  send(process: Process, id: string, topic: string): Task;
  start(process: Process, id: string): Task;
  /** Starts it in the queue. */
  enqueue(process: Process, id: string): Task;
  actions(up: readonly Process[], send: (weight: number, make: () => Task | undefined) => void): void;
}

export function createCallers(shared: Shared): Callers {
  const { random, world, oracle } = shared;
  const known = new Set<string>();
  let messages = 0;
  const anyID = () => random.pick(known.size === 0 || random.chance(10) ? world.ids : [...known]);
  const task = (label: string, work: (side: Side) => Promise<unknown>, rest: Partial<Task> = {}): Task => ({
    by: undefined,
    label,
    work,
    seen: () => {},
    settle: () => {},
    lose: () => {},
    ...rest,
  });
  /** Word of it comes to the processes, or is lost. */
  const tell = (up: readonly Process[], owned: readonly Owned[]): void => {
    const [first] = up;
    first?.tellCancelled(owned);
    if (first !== undefined && random.chance(50)) first.next.push(first.wake());
  };

  return {
    cancel: (id) =>
      task(`cancel ${id}`, (side) => cancel(side, [id], false), {
        seen: (answer, span) => oracle.cancelled(answer as Owned[], span.done),
      }),
    resume: (id) => task(`resume ${id}`, (side) => resume(side, [id])),
    send: (process, id, topic) =>
      process.flush([sendOffer(shared, id, ++messages, random.chance(50), topic)]),
    start: (process, id) => {
      known.add(id);
      return process.flush([startOffer(process, id)]);
    },
    enqueue: (process, id) => {
      known.add(id);
      return process.flush([startOffer(process, id, true)]);
    },
    actions: (up, send) => {
      for (const process of up) {
        const left = world.ids.filter((id) => !known.has(id));
        if (process.requests.length < 2) {
          const id = left.length > 0 ? random.pick(left) : anyID();
          send(left.length > 0 ? 3 : 0.3, () => {
            known.add(id);
            return process.flush([startOffer(process, id)]);
          });
          send(1, () => process.flush([sendOffer(shared, anyID(), ++messages, random.chance(70))]));
        }
      }
      if (known.size === 0) return;
      send(0.6, () => {
        const id = anyID();
        return task(`cancel ${id}`, (side) => cancel(side, [id], random.chance(30)), {
          seen: (answer, span) => oracle.cancelled(answer as Owned[], span.done),
          settle: (answer) => tell(up, answer as Owned[]),
        });
      });
      send(0.6, () => {
        const id = anyID();
        return task(`resume ${id}`, (side) => resume(side, [id]), {
          settle: (answer) => {
            tell(
              up,
              (answer as (Owned & { changed: boolean })[]).filter((each) => each.changed),
            );
            for (const process of up) if (random.chance(60)) process.ready = true;
          },
        });
      });
      send(0.4, () => {
        const id = anyID();
        return task(`forget ${id}`, (side) => forget(side, [id]), {
          forgets: (answer) => (answer as Owned[]).map(({ workflowID }) => workflowID),
          seen: (answer, span) => {
            for (const { workflowID } of answer as Owned[]) oracle.forgot(workflowID, span);
          },
          settle: (answer) => tell(up, answer as Owned[]),
        });
      });
      send(0.25, () => {
        const workflowID = random.pick(world.ids);
        const newWorkflowID = `${workflowID}-f`;
        const nonce = `fork${shared.stamp()}`;
        const options = { workflowID, fromStep: random.whole(0, 3), newWorkflowID, nonce, version: null };
        return task(`fork ${workflowID}`, (side) => fork(side, options), {
          settle: () => void known.add(newWorkflowID),
        });
      });
      if (world.queued) send(0.4, () => delayTask(anyID(), random.pick([0, 30])));
      send(0.6, () => {
        const id = anyID();
        return task(`hold ${id}`, (side) =>
          side.query('SELECT FROM pawl.workflow WHERE id = $1 FOR UPDATE', [id]),
        );
      });
    },
  };
}

/** A start through a process's journal: it runs it if it is first. */
export function startOffer(process: Process, id: string, enqueue = false): Offer {
  const { shared } = process;
  return {
    keys: [],
    make: () => {
      const { random, world } = shared;
      const extra: Record<string, unknown> = {};
      const anybody = random.chance(15) ? ANYBODY : undefined;
      const queued = world.queued && (enqueue || random.chance(50)) ? queuedPart(random) : anybody;
      const here = queued === undefined;
      if (world.deadlineMs !== null && random.chance(30)) extra['timeout'] = world.deadlineMs;
      const start = shared.startPart(id, extra, queued);
      return {
        label: `start ${id}`,
        operation: { start },
        seen: (answer, span) => {
          if (here && answer?.outcome !== 'exists') shared.oracle.started(id, span);
        },
        settle: (answer) => {
          if (answer !== undefined) return;
          if (here) process.begin(start);
          else if (queued.queue !== null) process.queued = true;
        },
      };
    },
  };
}

export function sendOffer(
  shared: Shared,
  destination: string,
  number: number,
  park: boolean,
  topic = shared.random.pick(['t', 't', 'u']),
): Offer {
  return {
    keys: [destination],
    make: () => {
      const message = { destination, id: `m${number}`, topic, body: `m${number}`, sender: null, park };
      shared.oracle.sending(message, shared.stamp());
      return {
        label: `message ${number} to ${destination}`,
        operation: { message },
        seen: (answer, span) => {
          if (answer?.outcome !== 'missing') shared.oracle.message(message, span);
        },
        settle: () => {},
      };
    },
  };
}
