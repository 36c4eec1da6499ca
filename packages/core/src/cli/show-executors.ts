// Owns `executor list`: the processes that run workflows. Never tells one to do anything.

import { listExecutors, type ExecutorInfo } from '../app/management.ts';
import { withPawl } from './connect.ts';
import type { Context } from './context.ts';
import type { Cell } from './terminal.ts';
import { age } from './times.ts';

export async function showExecutors(
  { where, json, terminal }: Context,
  options: { all?: boolean },
): Promise<void> {
  const everybody = await withPawl(where, async (core) => {
    const listed = await listExecutors(core);
    // An embedded database is ours while we look: whoever ran there has ended, whatever its lease says.
    return core.running('listExecutors').database.embedded
      ? listed.map((executor) => ({ ...executor, alive: false }))
      : listed;
  });
  // Who is gone and still owns something waits to be taken over: that is worth seeing.
  const executors = options.all ? everybody : everybody.filter(({ alive, active }) => alive || active > 0);
  if (json) {
    terminal.json({ executors });
    return;
  }
  if (executors.length === 0) {
    terminal.note(`No process runs workflows here.${options.all ? '' : ' --all shows those that are gone.'}`);
    return;
  }
  terminal.table(
    [
      { title: 'NUMBER', align: 'right' },
      { title: 'STATE' },
      { title: 'ACTIVE', align: 'right' },
      { title: 'HOST', flexible: true },
      { title: 'PID', align: 'right' },
      { title: 'AGE', align: 'right' },
      { title: 'EXECUTOR', flexible: true },
      { title: 'VERSION', flexible: true },
    ],
    executors.map((executor) => [
      String(executor.number),
      state(executor),
      String(executor.active),
      executor.host ?? '',
      executor.pid === null ? '' : String(executor.pid),
      age((executor.goneAt ?? Date.now()) - executor.startedAt),
      executor.executorID,
      executor.applicationVersion ?? '',
    ]),
  );
}

function state({ alive, goneAt }: ExecutorInfo): Cell {
  if (alive) return { text: 'alive', style: 'green' };
  return goneAt === null ? { text: 'silent', style: 'yellow' } : { text: 'gone' };
}
