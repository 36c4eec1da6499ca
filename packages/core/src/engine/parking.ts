// Parking: a workflow that only waits leaves memory. Its row gives up the owner, under the lock that whoever ends
// the wait takes too, so that the end is seen by one of them (flush_parks in sql/).

import type { Activation } from './activation.ts';
import type { EngineHost } from './host.ts';
import { refused } from './record.ts';

const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Between two looks at an activation that does more than wait. */
const BUSY_MS = 100;

/** Called whenever a wait begins to sit, or ends beside others. Parks at once what only sleeps for long, anything
 *  else after a while; what does more than wait is looked at again. */
export function considerParking(host: EngineHost, activation: Activation): void {
  if (activation.state !== 'running' || activation.waits.size === 0 || activation.parkTimer !== undefined)
    return;
  if (!onlyWaits(activation)) {
    activation.parkTimer = setTimeout(
      () => park(host, activation),
      Math.min(Math.max(host.parkAfterMs, BUSY_MS), LONGEST_TIMER_MS),
    );
    return;
  }
  const now = host.clock.now();
  const longSleep = [...activation.waits].every(
    (wait) => wait.part.kind === 'sleep' && wait.deadline !== null && wait.deadline - now > host.parkAfterMs,
  );
  // A turn later: another branch of the workflow may be about to call.
  activation.parkTimer = setTimeout(
    () => park(host, activation),
    longSleep ? 0 : Math.min(host.parkAfterMs, LONGEST_TIMER_MS),
  );
}

function onlyWaits(activation: Activation): boolean {
  if (
    activation.state !== 'running' ||
    activation.running > 0 ||
    activation.pending > 0 ||
    activation.pausing > 0 ||
    activation.reads.size > 0
  )
    return false;
  if (activation.waits.size === 0 || activation.delivery.replaying) return false;
  for (const wait of activation.waits) if (wait.state !== 'waiting') return false;
  return true;
}

function park(host: EngineHost, activation: Activation): void {
  activation.parkTimer = undefined;
  if (host.draining) return;
  if (!onlyWaits(activation)) {
    considerParking(host, activation);
    return;
  }
  // Waits that only this process knows of are written first; their answers bring us here again.
  const local = [...activation.waits].filter((wait) => wait.local);
  if (local.length > 0) {
    for (const wait of local) wait.look();
    return;
  }
  const awaited = [...activation.waits].flatMap(({ part }) =>
    part.target !== null && (part.kind === 'getEvent' || part.kind === 'getResult') ? [part.target] : [],
  );
  activation.pending++;
  host.journal.add({
    fenced: {
      workflowID: activation.workflowID,
      fence: activation.fence,
      stepID: null,
      seq: null,
      keep: false,
    },
    park: awaited,
    settle: (answer) => {
      activation.pending--;
      if (answer === undefined || answer.outcome === 'written') {
        // The body went on meanwhile, roused by something that is not durable: it must not sleep for its old wait.
        if (!onlyWaits(activation)) host.rouse(activation.workflowID);
        host.gone(activation, 'parked');
      } else if (answer.outcome === 'ready') for (const wait of [...activation.waits]) wait.poke();
      else refused(host, activation, answer, () => {});
    },
    fail: () => {
      activation.pending--;
    },
  });
}
