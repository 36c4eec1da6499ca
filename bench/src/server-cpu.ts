// The CPU time that the server's processes have used. On a busy machine it is the figure to trust: rates move with
// whoever else runs, the time that a unit costs hardly does.
import { readFile } from 'node:fs/promises';
import { withClient } from './database.ts';

const microsPerTick = 10_000;

/**
 * Microseconds by process id, of sessions and background processes; empty if the server is not on this Linux machine.
 * `others` are the processes of a contender that has a server of its own.
 */
export async function readServerCpu(
  databaseUrl: string,
  others: readonly number[] = [],
): Promise<Map<number, number>> {
  const pids = await withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ pid: number }>(
      'select pid from pg_stat_activity where pid <> pg_backend_pid()',
    );
    return rows.map(({ pid }) => pid);
  });
  const times = new Map<number, number>();
  for (const pid of [...pids, ...others]) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    // "pid (command) state …": the command may hold blanks; utime and stime are the fields 14 and 15.
    const command = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    if (!command.startsWith('postgres') && !others.includes(pid)) continue;
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    times.set(pid, (Number(fields[11]) + Number(fields[12])) * microsPerTick);
  }
  return times;
}

/** What was used between two readings (NaN if nothing could be read), sessions that began or ended meanwhile counted as far as they are known. */
export function serverCpuBetween(before: Map<number, number>, after: Map<number, number>): number {
  if (after.size === 0) return Number.NaN;
  let used = 0;
  for (const [pid, micros] of after) used += micros - (before.get(pid) ?? 0);
  return used;
}
