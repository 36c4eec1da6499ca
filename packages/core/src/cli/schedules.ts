// Owns the commands of `schedule`: list, pause, resume, trigger. Never registers one: that is done in code.

import * as schedules from '../app/schedules.ts';
import { createCodec } from '../codec/index.ts';
import { withPawl } from './connect.ts';
import type { Context } from './context.ts';
import type { Cell } from './terminal.ts';
import { moment } from './times.ts';

export async function showSchedules({ where, json, terminal }: Context): Promise<void> {
  const listed = await withPawl(where, (core) => schedules.listSchedules(core));
  if (json) {
    terminal.json({ schedules: listed });
    return;
  }
  if (listed.length === 0) {
    terminal.note('No process has registered a schedule here.');
    return;
  }
  terminal.table(
    [
      { title: 'NAME', flexible: true },
      { title: 'WORKFLOW', flexible: true },
      { title: 'CRONTAB' },
      { title: 'TIME ZONE' },
      { title: 'MODE' },
      { title: 'QUEUE', flexible: true },
      { title: 'LAST' },
      { title: 'NEXT' },
    ],
    listed.map((schedule) => [
      schedule.name,
      schedule.workflowName,
      schedule.crontab,
      schedule.timezone,
      schedule.mode,
      schedule.queueName ?? '',
      schedule.lastAt === null ? '' : moment(schedule.lastAt),
      next(schedule),
    ]),
  );
}

function next({ paused, nextAt }: schedules.ScheduleInfo): string | Cell {
  if (paused) return { text: 'paused', style: 'yellow' };
  return nextAt === null ? '' : moment(nextAt);
}

export async function changeSchedule(
  { where, json, terminal }: Context,
  name: string,
  { paused }: { paused: boolean },
): Promise<void> {
  await withPawl(where, (core) => schedules.setPaused(core, name, paused));
  if (json) terminal.json({ name, paused });
  else terminal.print(`${name}: ${paused ? 'paused' : 'resumed'}`);
}

export async function triggerSchedule({ where, json, terminal }: Context, name: string): Promise<void> {
  const workflowID = await withPawl(where, (core) =>
    // Dates as an app without a serializer of its own would store them.
    schedules.triggerSchedule(core, name, createCodec()),
  );
  if (json) terminal.json({ name, workflowID });
  else terminal.print(workflowID);
}
