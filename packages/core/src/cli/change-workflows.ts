// Owns the commands that intervene: cancel, resume, restart, fork, delete, send. Each looks first whether all that it is
// told to change is there, so that a mistyped id among several changes nothing.

import type { PawlCore } from '../app/core.ts';
import * as management from '../app/management.ts';
import type { WorkflowStatus } from '../app/status.ts';
import * as verbs from '../app/verbs.ts';
import { withPawl } from './connect.ts';
import type { Context } from './context.ts';
import { EXIT, Failure } from './failure.ts';
import { statusOf } from './show-workflows.ts';
import { readMessage } from './stored-values.ts';

const FINISHED: ReadonlySet<string> = new Set([
  'SUCCESS',
  'ERROR',
  'CANCELLED',
  'MAX_RECOVERY_ATTEMPTS_EXCEEDED',
]);

export async function cancelWorkflows(
  context: Context,
  ids: string[],
  options: { children?: boolean },
): Promise<void> {
  await change(
    context,
    ids,
    (core) => management.cancelNow(core, ids, { cancelChildren: options.children ?? false }),
    { done: 'cancelled', left: ({ status }) => `left alone, it has ended (${status})` },
  );
}

export async function resumeWorkflows(context: Context, ids: string[]): Promise<void> {
  await change(context, ids, (core) => management.resumeNow(core, ids), {
    done: 'resumed',
    left: ({ status }) =>
      status === 'SUCCESS' || status === 'ERROR'
        ? `left alone, it has ended (${status}); restart or fork it instead`
        : `left alone, it goes on by itself (${status})`,
  });
}

interface Wording {
  done: string;
  left: (status: WorkflowStatus) => string;
}

async function change(
  { where, json, terminal }: Context,
  ids: string[],
  run: (core: PawlCore) => Promise<string[]>,
  wording: Wording,
): Promise<void> {
  const { changed, after } = await withPawl(where, async (core) => {
    await statuses(core, ids);
    const moved = await run(core);
    // Children come after those that were named.
    const all = [...new Set([...ids, ...moved])];
    return { changed: new Set(moved), after: await statuses(core, all) };
  });
  if (json) {
    terminal.json({
      workflows: after.map(({ workflowID, status }) => ({
        workflowID,
        status,
        changed: changed.has(workflowID),
      })),
    });
    return;
  }
  for (const status of after) {
    const { workflowID } = status;
    terminal.print(`${workflowID}: ${changed.has(workflowID) ? wording.done : wording.left(status)}`);
  }
}

async function statuses(core: PawlCore, ids: Iterable<string>): Promise<WorkflowStatus[]> {
  const found: WorkflowStatus[] = [];
  for (const id of ids) found.push(await statusOf(core, id));
  return found;
}

export interface ForkOptions {
  fromStep: number;
  newId?: string;
  applicationVersion?: string;
}

/** A restart is a fork from the first step. */
export async function forkWorkflow(
  { where, json, terminal }: Context,
  workflowID: string,
  { fromStep, newId, applicationVersion }: ForkOptions,
): Promise<void> {
  const fork = await withPawl(where, (core) =>
    management.forkWorkflow(core, workflowID, fromStep, {
      ...(newId !== undefined && { newWorkflowID: newId }),
      ...(applicationVersion !== undefined && { applicationVersion }),
    }),
  );
  if (json) terminal.json({ workflowID: fork, forkedFrom: workflowID, fromStep });
  else terminal.print(fork);
}

export async function deleteWorkflows(
  { where, json, terminal }: Context,
  ids: string[],
  options: { yes?: boolean; force?: boolean },
): Promise<void> {
  if (!options.yes && !terminal.interactive) {
    throw new Failure(EXIT.usage, 'Deleting cannot be undone: say --yes where there is nobody to ask.');
  }
  const deleted = await withPawl(where, async (core) => {
    const found = await deletable(core, ids, options);
    if (!options.yes) {
      for (const { workflowID, name, status } of found) terminal.note(`  ${workflowID}  ${name}  ${status}`);
      const what = found.length === 1 ? 'this workflow' : `these ${found.length} workflows`;
      const answer = await terminal.ask(`Delete ${what} with steps, events and messages, for good? [y/N] `);
      if (!/^y(es)?$/i.test(answer.trim())) throw new Failure(EXIT.failed, 'Nothing was deleted.');
      // Somebody may have resumed one while the question stood there.
      await deletable(core, ids, options);
    }
    for (const { workflowID } of found) await management.deleteWorkflow(core, workflowID);
    return found.map(({ workflowID }) => workflowID);
  });
  if (json) terminal.json({ deleted });
  else for (const id of deleted) terminal.print(`${id}: deleted`);
}

async function deletable(
  core: PawlCore,
  ids: readonly string[],
  { force }: { force?: boolean },
): Promise<WorkflowStatus[]> {
  const found = await statuses(core, new Set(ids));
  const running = found.filter(({ status }) => !FINISHED.has(status)).map(({ workflowID }) => workflowID);
  if (running.length === 0 || force) return found;
  throw new Failure(
    EXIT.failed,
    `Nothing was deleted: ${running.join(', ')} ${running.length === 1 ? 'has' : 'have'} not ended. Cancel first, or say --force.`,
  );
}

export interface SendOptions {
  topic?: string;
  text?: boolean;
  idempotencyKey?: string;
  park?: boolean;
}

export async function sendMessage(
  { where, json, terminal }: Context,
  workflowID: string,
  text: string,
  { topic, text: asText, idempotencyKey, park }: SendOptions,
): Promise<void> {
  const message = asText ? text : readMessage(text);
  await withPawl(where, async (core) => {
    await verbs.send(core, workflowID, message, topic, {
      onMissing: park ? 'park' : 'error',
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    });
  });
  if (json) terminal.json({ workflowID, topic: topic ?? null });
  else
    terminal.print(`${workflowID}: sent${topic === undefined ? '' : ` to topic ${JSON.stringify(topic)}`}`);
}
