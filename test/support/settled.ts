// When a process has nothing more to say to its database, for those who count its statements.
import type { Pawl } from '@pawl/core';
import { internals } from '../../packages/core/src/app/internals.ts';

/**
 * Resolves once a tick went by and nothing else did: it is answered behind all that was sent before it. `sent` is how
 * many statements there were, but for the ticks. The next tick is half a second away then.
 */
export async function settled(pawl: Pawl, sent: () => number): Promise<void> {
  const { engine, executor } = internals(pawl).runtime;
  for (let before = -1, ticks = 0; before !== sent(); ticks++) {
    if (ticks === 100)
      throw new Error('It goes on sending. Does somebody wait, so that each tick looks for it?');
    before = sent();
    await engine.journal.drained();
    await executor.tickNow();
  }
}
