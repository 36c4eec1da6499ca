// After the disorder: nobody is left asleep; then one process takes over and brings every workflow to its end.
import { sendOffer, startOffer } from './callers.ts';
import { checkLimit, dispatchTask } from './dispatch.ts';
import { violated } from './oracle.ts';
import type { Process } from './process.ts';
import type { Task } from './tasks.ts';
import type { Schedule } from './schedule.ts';
import { LEASE_MS, LONG_MS } from './world.ts';

/** What is to be seen of a workflow from outside. */
interface Sight {
  id: string;
  status: string;
  blocked: boolean;
  /** Topics that it waits for, without a message. */
  wants: string[];
  /** Parked, though what it waits for is there; or it waits, and nothing will wake it. */
  asleep: string | null;
}

const SIGHT = `SELECT w.id, w.status, w.blocked IS NOT NULL AS blocked,
  coalesce((SELECT array_agg(s.target) FROM pawl.step s WHERE s.workflow_id = w.id AND s.completed_at IS NULL
    AND s.kind = 'recv' AND NOT EXISTS (SELECT FROM pawl.message m WHERE m.destination = w.id AND m.topic = s.target
      AND m.consumed_by IS NULL)), '{}') AS wants,
  CASE WHEN w.status <> 'PENDING' OR w.owner IS NOT NULL OR w.blocked IS NOT NULL OR w.wake_at <= c.now THEN NULL
  WHEN NOT EXISTS (SELECT FROM pawl.step s WHERE s.workflow_id = w.id AND s.completed_at IS NULL) THEN 'without a wait'
  ELSE (SELECT min(s.kind || ' ' || coalesce(s.target, '')) FROM pawl.step s
    WHERE s.workflow_id = w.id AND s.completed_at IS NULL AND (s.deadline <= c.now OR CASE s.kind
      WHEN 'recv' THEN EXISTS (SELECT FROM pawl.message m WHERE m.destination = w.id AND m.topic = s.target
        AND m.consumed_by IS NULL)
      WHEN 'getEvent' THEN EXISTS (SELECT FROM pawl.event e WHERE e.workflow_id = s.target AND e.key = s.name)
      WHEN 'getResult' THEN EXISTS (SELECT FROM pawl.workflow t WHERE t.id = s.target
        AND t.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')) END
      OR s.kind IN ('getEvent', 'getResult') AND NOT EXISTS (SELECT FROM pawl.waiter t
        JOIN pawl.workflow a ON a.id = t.target AND a.watched WHERE t.workflow_id = w.id AND t.target = s.target
          AND t.kind = CASE s.kind WHEN 'getEvent' THEN 'e' ELSE 'r' END AND t.key = coalesce(s.name, '')))) END AS asleep
FROM pawl.workflow w, (SELECT pawl.clock() AS now) c ORDER BY w.id`;

const MAX_ROUNDS = 60;

export async function comeToRest(schedule: Schedule): Promise<void> {
  for (const process of schedule.processes) if (process.state !== 'dead') await schedule.kill(process);
  const last = await schedule.launch();
  // What was fired is passed on by anybody's tick. After that, and before any time passes, nobody sleeps through it.
  await schedule.through(last.tick());
  await follow(schedule, last);
  awake(await look(schedule));
  // Not every schedule needs its end.
  if (schedule.random.chance(65)) return;
  await schedule.pass(LEASE_MS + 100);
  let idle = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    await work(schedule, last);
    const sights = await look(schedule);
    awake(sights);
    const left = sights.filter((each) => each.status !== 'SUCCESS');
    const missing = schedule.world.ids.filter((id) => !sights.some((each) => each.id === id));
    if (left.length === 0 && missing.length === 0) return;
    if (await help(schedule, last, left, missing)) {
      idle = 0;
      continue;
    }
    // Time is all that is missing, or somebody sleeps for ever.
    if (++idle > 12) break;
    await schedule.pass(idle === 1 ? 600 : LONG_MS + LEASE_MS);
  }
  const ends = (await look(schedule)).map(({ id, status }) => `${id} ${status}`).join(', ');
  violated(`it does not come to an end: ${ends}`);
}

const look = async (schedule: Schedule): Promise<Sight[]> => (await schedule.eye.query<Sight>(SIGHT)).rows;

function awake(sights: readonly Sight[]): void {
  for (const { id, asleep } of sights) if (asleep !== null) violated(`${id} sleeps through its ${asleep}`);
}

/** What follows from the last answers. */
async function follow(schedule: Schedule, process: Process): Promise<void> {
  while (process.next.length > 0) await schedule.through(process.next.shift() as Task);
}

async function work(schedule: Schedule, process: Process): Promise<void> {
  for (let turns = 0; turns < MAX_ROUNDS; turns++) {
    await schedule.through(process.tick());
    await follow(schedule, process);
    if (schedule.world.queued) {
      await schedule.through(dispatchTask(process, 100));
      await checkLimit(schedule.eye);
    }
    // One that it gives up fires who waits for it, which the next tick passes on.
    const claims = process.ready;
    if (claims) await schedule.through(process.claim(false));
    let offers = process.offers();
    if (offers.length === 0 && process.again.length === 0 && !process.ready && !claims) return;
    while (offers.length > 0 || process.again.length > 0) {
      await schedule.through(process.again.length > 0 ? process.flushAgain() : process.flush(offers));
      await follow(schedule, process);
      offers = process.offers();
    }
  }
  violated('a process goes on working without an end');
}

/** Does what callers would have to do; false if there is nothing. */
async function help(
  schedule: Schedule,
  last: Process,
  left: readonly Sight[],
  missing: readonly string[],
): Promise<boolean> {
  const offers = [
    ...missing,
    ...left.filter((each) => each.status === 'RESERVED').map((each) => each.id),
  ].map((id) => startOffer(last, id));
  for (const { id, wants } of left)
    for (const topic of new Set(wants)) offers.push(sendOffer(schedule, id, schedule.stamp(), false, topic));
  if (offers.length > 0) await schedule.through(last.flush(offers));
  const stopped = left
    .filter((each) => each.blocked || !['PENDING', 'RESERVED'].includes(each.status))
    .map((each) => each.id);
  if (stopped.length > 0) await schedule.eye.query(`SELECT pawl.resume($1, '{}', '{}')`, [stopped]);
  if (stopped.length > 0) last.ready = true;
  return offers.length > 0 || stopped.length > 0;
}
