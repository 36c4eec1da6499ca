// A transaction on behalf of a caller from outside, sent again if it fails for reasons that pass. What is written must
// recognize itself: a COMMIT whose answer was lost may have taken effect.

import { setTimeout as pause } from 'node:timers/promises';
import { CommitUnknownError } from '../store/database.ts';
import { classifyFault } from '../store/faults.ts';
import { unavailable } from '../store/unavailable.ts';

const ATTEMPTS = 6;

/** `again`: an earlier try may be there. Gives up after some seconds, with DatabaseUnavailableError if that is why. */
export async function repeatWrite<T>(write: (again: boolean) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write(attempt > 1);
    } catch (error) {
      const fault = error instanceof CommitUnknownError ? 'connection' : classifyFault(error);
      if (fault === 'refused') throw error;
      if (attempt === ATTEMPTS) throw fault === 'connection' ? unavailable(error) : error;
      await pause(10 * 3 ** attempt);
    }
  }
}
