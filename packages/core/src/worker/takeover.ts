// Takeover: who is dead, and what becomes of what it ran. A free lock or an expired lease is a suspicion; only one
// that stays for half a second, while nothing was re-armed, is put to the database, which decides.
//
//   alive ─► suspected ─► declared gone ─► released in batches, claimed by whoever serves it
//     ▲          │ not reported any more, or re-armed
//     └──────────┘

import type { Engine } from '../engine/engine.ts';
import type { Lane } from '../store/database.ts';
import { declareGone, HANDED_OVER, release, type TickResult } from '../store/executors.ts';
import type { Claimer } from './claimer.ts';
import type { Hints } from './hints.ts';

export interface Takeover {
  /** What a tick reported. */
  judge(reported: TickResult['suspects']): Promise<void>;
  /** This process met no database: nobody else could renew either. */
  judgeNobodyFor(ms: number): void;
}

export interface TakeoverOptions {
  engine: Engine;
  lane: Lane;
  hints: Hints;
  claimer: Claimer;
  lockClass: number;
  /** Embedded: every other executor is gone. */
  alone: boolean;
  lookAgain: () => void;
}

/** An advisory lock that is free may mean a restart of Postgres: only a lock that stays free so long is a death. */
const SUSPICION_MS = 500;

export function createTakeover({
  engine,
  lane,
  hints,
  claimer,
  lockClass,
  alone,
  lookAgain,
}: TakeoverOptions): Takeover {
  const suspects = new Map<number, { armed: number; since: number }>();
  let judgeAfter = 0;

  const takeOver = async (number: number, armed: number): Promise<void> => {
    if (!(await declareGone(lane, number, armed, lockClass, alone))) return;
    suspects.delete(number);
    let workflows = 0;
    for (;;) {
      const count = await release(lane, number, armed !== HANDED_OVER);
      if (count === 0) break;
      workflows += count;
      // The first batch goes on while the next is released; peers are asked to take their part.
      hints.ready();
      claimer.request();
    }
    if (workflows === 0) return;
    engine.events.emit('executor.takeover', { executor: number, workflows });
  };

  return {
    judgeNobodyFor: (ms) => {
      judgeAfter = performance.now() + ms;
    },
    judge: async (reported) => {
      const now = performance.now();
      for (const number of suspects.keys())
        if (!reported.some((r) => r.number === number)) suspects.delete(number);
      for (const { number, armed, gone } of reported) {
        const known = suspects.get(number);
        const stayed = known?.armed === armed && now - known.since >= SUSPICION_MS;
        if (gone || alone || (stayed && now >= judgeAfter)) await takeOver(number, armed);
        else if (known?.armed !== armed) {
          suspects.set(number, { armed, since: now });
          setTimeout(lookAgain, SUSPICION_MS + 5).unref();
        }
      }
    },
  };
}
