// The last thing that a process writes: what it ran is anybody's, at once, and that is no death.

import type { Lane } from '../store/database.ts';
import { release, retire } from '../store/executors.ts';
import { classifyFault } from '../store/faults.ts';

export async function handOver(lane: Lane, executor: number): Promise<void> {
  const give = async (): Promise<void> => {
    while ((await release(lane, executor, false)) > 0);
    await retire(lane, executor);
  };
  try {
    await give();
  } catch (error) {
    if (classifyFault(error) !== 'connection') throw error;
    // The connection may be all that was lost; the lane makes a new one.
    await give();
  }
}
