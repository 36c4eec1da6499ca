// Workflows that are due and that no living process serves: a deploy changed their code, or took their process away.
// They are blocked, visibly, by the tick of whichever process notices first, and are no longer when one comes that
// serves them.

import type { Engine } from '../engine/engine.ts';
import type { Lane } from '../store/database.ts';
import { strand, type TickResult } from '../store/executors.ts';
import type { Claimer } from './claimer.ts';
import type { Hints } from './hints.ts';

export interface StrandedOptions {
  engine: Engine;
  lane: Lane;
  hints: Hints;
  claimer: Claimer;
}

/** A process that restarts is back by then. */
const DUE_MS = 3000;
const BATCH = 500;
/** In one tick: the lease is to be renewed in between. */
const MOST_BATCHES = 10;

/** What a tick reported; most have nothing to review. */
export async function reviewStranded(
  { engine, lane, hints, claimer }: StrandedOptions,
  { dueSince, clock, stranded }: TickResult,
): Promise<void> {
  const overdue = dueSince !== undefined && clock !== undefined && clock - dueSince >= DUE_MS;
  if ((!overdue && !stranded) || engine.draining) return;
  const kinds = new Map<
    string,
    { name: string; version: string | null; workflows: number; reason: string }
  >();
  for (let batch = 0; batch < MOST_BATCHES; batch++) {
    const rows = await strand(lane, engine.executor, DUE_MS, BATCH);
    let back = 0;
    for (const { workflowID, name, version, reason } of rows) {
      if (reason === null) {
        back++;
        continue;
      }
      const key = `${name}\0${version ?? ''}`;
      const kind = kinds.get(key);
      if (kind === undefined) kinds.set(key, { name, version, workflows: 1, reason });
      else kind.workflows++;
      if (engine.events.has('workflow.blocked'))
        engine.events.emit('workflow.blocked', { workflowID, workflowName: name, reason });
    }
    if (back > 0) {
      claimer.request();
      hints.ready();
    }
    if (back < BATCH && rows.length - back < BATCH) break;
  }
  for (const { name, version, workflows, reason } of kinds.values())
    engine.events.emit('remark', {
      level: 'warn',
      text: `${workflows} ${workflows === 1 ? 'workflow is' : 'workflows are'} blocked. ${reason}`,
      details: { workflowName: name, applicationVersion: version, workflows },
    });
}
