// Owns the commands that look at workflows: list, get, steps, events. Never changes anything.

import type { PawlCore } from '../app/core.ts';
import * as management from '../app/management.ts';
import { readStatus, type WorkflowStatus } from '../app/status.ts';
import { withPawl } from './connect.ts';
import type { Context } from './context.ts';
import { unknownWorkflow } from './failure.ts';
import { errorForJSON, showError, showValue } from './stored-values.ts';
import type { Cell, Column } from './terminal.ts';
import { age, moment, span } from './times.ts';

export async function listWorkflows(
  { where, json, terminal }: Context,
  filter: management.WorkflowFilter,
): Promise<void> {
  const { workflows, cursor } = await withPawl(where, (core) => management.listWorkflows(core, filter));
  if (json) {
    terminal.json({ workflows, cursor: cursor ?? null });
    return;
  }
  if (workflows.length === 0) {
    terminal.note('No workflow matches.');
    return;
  }
  const columns: Column[] = [
    { title: 'ID', flexible: true },
    { title: 'NAME', flexible: true },
    { title: 'STATUS' },
    { title: 'AGE', align: 'right' },
    { title: 'TOOK', align: 'right' },
  ];
  terminal.table(
    columns,
    workflows.map((workflow) => [
      workflow.workflowID,
      workflow.name,
      state(workflow),
      age(Date.now() - workflow.createdAt),
      took(workflow.startedAt ?? workflow.createdAt, workflow.completedAt),
    ]),
  );
  if (cursor !== undefined) terminal.note(`There are more: repeat with --cursor ${cursor}`);
}

export async function getWorkflow({ where, json, terminal }: Context, workflowID: string): Promise<void> {
  const workflow = await withPawl(where, (core) => statusOf(core, workflowID));
  if (json) {
    terminal.json({
      ...workflow,
      ...(workflow.error !== undefined && { error: errorForJSON(workflow.error) }),
    });
    return;
  }
  const fields: [string, string | Cell | null][] = [
    ['ID', workflow.workflowID],
    ['Name', workflow.name],
    ['Status', state(workflow)],
    ['Blocked', workflow.blocked],
    ['Created', time(workflow.createdAt)],
    ['Started', time(workflow.startedAt)],
    ['Completed', time(workflow.completedAt)],
    ['Took', took(workflow.startedAt, workflow.completedAt) || null],
    ['Deadline', time(workflow.deadline)],
    ['Executor', workflow.executorID],
    ['Version', workflow.applicationVersion],
    ['Recoveries', workflow.recoveryAttempts === 0 ? null : String(workflow.recoveryAttempts)],
    ['Parent', workflow.parentWorkflowID],
    ['Forked from', workflow.forkedFrom],
    ['Queue', workflow.queueName],
    ['Priority', workflow.priority === 0 ? null : String(workflow.priority)],
    ['Deduplication', workflow.deduplicationID],
    ['Partition', workflow.partitionKey],
    ['User', workflow.authenticatedUser],
    ['Attributes', workflow.attributes && showValue(workflow.attributes, { line: true })],
  ];
  terminal.fields(fields.filter((field): field is [string, string | Cell] => field[1] !== null));
  const { colors } = terminal;
  if (workflow.input !== undefined && (!Array.isArray(workflow.input) || workflow.input.length > 0)) {
    terminal.heading('Input');
    const values = Array.isArray(workflow.input) ? workflow.input : [workflow.input];
    for (const value of values) terminal.print(showValue(value, { colors }), { inspected: true });
  }
  if (workflow.status === 'SUCCESS') {
    terminal.heading('Output');
    terminal.print(showValue(workflow.output, { colors }) || '(none)', { inspected: true });
  }
  if (workflow.error !== undefined) {
    terminal.heading('Error');
    terminal.print(showError(workflow.error));
  }
}

export async function listSteps({ where, json, terminal }: Context, workflowID: string): Promise<void> {
  const steps = await withPawl(where, async (core) => {
    const found = await management.listWorkflowSteps(core, workflowID);
    if (found.length === 0) await statusOf(core, workflowID);
    return found;
  });
  if (json) {
    terminal.json({
      workflowID,
      steps: steps.map((step) => ({ ...step, output: step.output ?? null, error: errorForJSON(step.error) })),
    });
    return;
  }
  if (steps.length === 0) {
    terminal.note('It has no steps yet.');
    return;
  }
  terminal.table(
    [
      { title: 'STEP', align: 'right' },
      { title: 'KIND' },
      { title: 'NAME', flexible: true },
      { title: 'TRIES', align: 'right' },
      { title: 'BEGAN' },
      { title: 'TOOK', align: 'right' },
      { title: 'RESULT', flexible: true },
    ],
    steps.map((step) => [
      String(step.stepID),
      step.kind,
      step.name === step.kind ? '' : step.name,
      String(step.attempts),
      step.startedAt === null ? '' : moment(step.startedAt),
      took(step.startedAt, step.completedAt),
      result(step),
    ]),
  );
}

const WAITS: ReadonlySet<string> = new Set(['sleep', 'recv', 'getEvent', 'getResult']);

function result(step: management.StepInfo): Cell {
  if (step.completedAt === null)
    return { text: WAITS.has(step.kind) ? 'waits' : 'not completed', style: 'yellow' };
  if (step.error !== null && step.error !== undefined)
    return { text: showError(step.error, { line: true }), style: 'red' };
  if (step.childWorkflowID !== null && step.output === undefined) return { text: step.childWorkflowID };
  return { text: showValue(step.output, { line: true }) };
}

export async function listEvents({ where, json, terminal }: Context, workflowID: string): Promise<void> {
  const events = await withPawl(where, async (core) => {
    const found = await management.listEvents(core, workflowID);
    if (found.length === 0) await statusOf(core, workflowID);
    return found;
  });
  if (json) {
    terminal.json({ workflowID, events: events.map((event) => ({ ...event, value: event.value ?? null })) });
    return;
  }
  if (events.length === 0) {
    terminal.note('It has set no events.');
    return;
  }
  terminal.table(
    [{ title: 'SET' }, { title: 'KEY', flexible: true }, { title: 'VALUE', flexible: true }],
    events.map((event) => [moment(event.createdAt), event.key, showValue(event.value, { line: true })]),
  );
}

export async function statusOf(core: PawlCore, workflowID: string): Promise<WorkflowStatus> {
  const status = await readStatus(core, workflowID);
  if (status === null) throw unknownWorkflow(workflowID);
  return status;
}

const STYLES: Partial<Record<WorkflowStatus['status'], 'green' | 'red' | 'yellow'>> = {
  SUCCESS: 'green',
  ERROR: 'red',
  MAX_RECOVERY_ATTEMPTS_EXCEEDED: 'red',
  CANCELLED: 'yellow',
};

/** The status, and whether it waits outside of memory or cannot go on. */
function state({ status, blocked, parked }: WorkflowStatus): Cell {
  if (blocked !== null) return { text: `${status}, blocked`, style: 'red' };
  return { text: parked ? `${status}, parked` : status, style: STYLES[status] };
}

function time(epochMs: number | null): string | null {
  return epochMs === null ? null : moment(epochMs);
}

function took(startedAt: number | null, completedAt: number | null): string {
  return startedAt === null || completedAt === null ? '' : span(completedAt - startedAt);
}
