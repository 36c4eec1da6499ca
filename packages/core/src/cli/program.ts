// Owns the words of the command line: commands, options, help. What they do is in the modules that it calls.

import { readFileSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { Command } from 'commander';
import type { JsonValue, WorkflowState } from '../app/status.ts';
import * as change from './change-workflows.ts';
import { migrateSchema } from './connect.ts';
import type { Context } from './context.ts';
import { attribute, instant, several, states, wholeNumber } from './options.ts';
import { showExecutors } from './show-executors.ts';
import { changeSchedule, showSchedules, triggerSchedule } from './schedules.ts';
import * as show from './show-workflows.ts';
import { createTerminal, type Streams } from './terminal.ts';

interface GlobalOptions {
  database?: string;
  databaseUrl?: string;
  schema?: string;
  json?: boolean;
}

interface ListOptions {
  status?: WorkflowState[];
  name?: string[];
  idPrefix?: string;
  since?: Date;
  until?: Date;
  queue?: string;
  executor?: string;
  applicationVersion?: string;
  parent?: string;
  user?: string;
  attribute?: Record<string, JsonValue>;
  limit: number;
  cursor?: string;
  oldestFirst?: boolean;
}

const MAX_STEP = 2 ** 31 - 1;

export function createProgram(streams: Streams): Command {
  const program = new Command('pawl')
    .description('Looks at durable workflows and intervenes.')
    .version(version(), '--version', 'say the version')
    .option(
      '--database <url|directory>',
      'Postgres, or an embedded database (default: DATABASE_URL, else ./.pawl)',
    )
    .option('--database-url <url>', 'the same')
    .option('--schema <name>', 'where the tables are (default: pawl)')
    .option('--json', 'answer with one JSON document')
    .helpOption('-h, --help', 'explain a command')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed, 2 wrong use, 3 no database, 4 the schema does not fit, 5 unknown id or name.',
    );

  /** The last argument of an action is its command, which knows the options of the program too. */
  const context = (command: Command): Context => {
    const { database, databaseUrl, schema, json } = command.optsWithGlobals<GlobalOptions>();
    return {
      where: { database: database ?? databaseUrl, schema },
      json: json ?? false,
      terminal: createTerminal(streams),
    };
  };

  program
    .command('migrate')
    .description('create or update the tables; with --database a directory is created too')
    .action(async (_options: object, command: Command) => {
      const { where, json, terminal } = context(command);
      const done = await migrateSchema(where);
      const name = JSON.stringify(done.schema);
      if (json) terminal.json(done);
      else if (done.applied.length === 0) terminal.print(`Schema ${name} is up to date.`);
      else terminal.print(`Schema ${name}: applied ${done.applied.join(', ')}.`);
    });

  const workflow = program.command('workflow').description('list workflows, look at one, intervene');
  workflow
    .command('list')
    .description('list workflows, newest first')
    .option('--status <status>', 'only these, separated by commas', states)
    .option('--name <name>', 'only workflows of this name; may be repeated', several)
    .option('--id-prefix <text>', 'only ids that begin like this')
    .option('--since <time>', 'created since: a time, or how long ago (2h, 7d)', instant)
    .option('--until <time>', 'created until', instant)
    .option('--queue <name>', 'only those of this queue')
    .option('--executor <id>', 'only those that this executor runs')
    .option('--application-version <version>', 'only those of this version')
    .option('--parent <id>', 'only children of this workflow')
    .option('--user <name>', 'only those started for this user')
    .option('--attribute <name=value>', 'only those that have it; may be repeated', attribute)
    .option('--limit <n>', 'at most so many', wholeNumber(1, 10_000), 20)
    .option('--cursor <cursor>', 'go on from the page before')
    .option('--oldest-first', 'in the order of creation')
    .action((options: ListOptions, command: Command) =>
      show.listWorkflows(context(command), {
        limit: options.limit,
        sort: options.oldestFirst ? 'asc' : 'desc',
        ...(options.status && { status: options.status }),
        ...(options.name && { name: options.name }),
        ...(options.idPrefix !== undefined && { idPrefix: options.idPrefix }),
        ...(options.since && { startTime: options.since }),
        ...(options.until && { endTime: options.until }),
        ...(options.queue !== undefined && { queueName: options.queue }),
        ...(options.executor !== undefined && { executorID: options.executor }),
        ...(options.applicationVersion !== undefined && { applicationVersion: options.applicationVersion }),
        ...(options.parent !== undefined && { parentWorkflowID: options.parent }),
        ...(options.user !== undefined && { authenticatedUser: options.user }),
        ...(options.attribute && { attributes: options.attribute }),
        ...(options.cursor !== undefined && { cursor: options.cursor }),
      }),
    );
  workflow
    .command('get <id>')
    .description('show one workflow with input, output and error')
    .action((id: string, _options: object, command: Command) => show.getWorkflow(context(command), id));
  workflow
    .command('steps <id>')
    .description('show what is recorded of a workflow, step by step')
    .action((id: string, _options: object, command: Command) => show.listSteps(context(command), id));
  workflow
    .command('events <id>')
    .description('show every value that a workflow has set, in order')
    .action((id: string, _options: object, command: Command) => show.listEvents(context(command), id));
  workflow
    .command('cancel <id...>')
    .description('end workflows; what has ended is left alone')
    .option('--children', 'with their children, and those of the children')
    .action((ids: string[], options: { children?: boolean }, command: Command) =>
      change.cancelWorkflows(context(command), ids, options),
    );
  workflow
    .command('resume <id...>')
    .description('let cancelled, given up and blocked workflows go on from their last completed step')
    .action((ids: string[], _options: object, command: Command) =>
      change.resumeWorkflows(context(command), ids),
    );
  workflow
    .command('restart <id>')
    .description('start a new workflow with the same input; prints its id')
    .option('--new-id <id>', 'the id of the new one (default: random)')
    .action((id: string, options: Omit<change.ForkOptions, 'fromStep'>, command: Command) =>
      change.forkWorkflow(context(command), id, { ...options, fromStep: 0 }),
    );
  workflow
    .command('fork <id>')
    .description('start a new workflow that has the same input and the steps before one; prints its id')
    .requiredOption('--from-step <n>', 'the first step to run again', wholeNumber(0, MAX_STEP))
    .option('--new-id <id>', 'the id of the new one (default: random)')
    .option('--application-version <version>', 'who is to run it (default: anybody)')
    .action((id: string, options: change.ForkOptions, command: Command) =>
      change.forkWorkflow(context(command), id, options),
    );
  workflow
    .command('delete <id...>')
    .description('remove ended workflows with steps, events and messages, for good')
    .option('--yes', 'without asking')
    .option('--force', 'also those that have not ended')
    .action((ids: string[], options: { yes?: boolean; force?: boolean }, command: Command) =>
      change.deleteWorkflows(context(command), ids, options),
    );

  const schedule = program.command('schedule').description('what is started by the clock').helpCommand(false);
  schedule
    .command('list')
    .description('list schedules: when each one ticks next, and which are paused')
    .action((_options: object, command: Command) => showSchedules(context(command)));
  schedule
    .command('pause <name>')
    .description('hold a schedule, in all processes')
    .action((name: string, _options: object, command: Command) =>
      changeSchedule(context(command), name, { paused: true }),
    );
  schedule
    .command('resume <name>')
    .description('let it go on; missed ticks are skipped, or caught up with, as its mode says')
    .action((name: string, _options: object, command: Command) =>
      changeSchedule(context(command), name, { paused: false }),
    );
  schedule
    .command('trigger <name>')
    .description('start a run of it now; prints its id')
    .action((name: string, _options: object, command: Command) => triggerSchedule(context(command), name));

  program
    .command('executor')
    .description('the processes that run workflows')
    .helpCommand(false)
    .command('list')
    .description('list them: who is alive, and how much each one runs')
    .option('--all', 'also those that are gone')
    .action((options: { all?: boolean }, command: Command) => showExecutors(context(command), options));

  program
    .command('send <id> <message>')
    .description('send a message to a workflow: JSON, or - to read it from standard input')
    .option('--topic <name>', 'the topic that the workflow receives from')
    .option('--text', 'the message is a text, not JSON')
    .option('--idempotency-key <key>', 'sent once, however often it is repeated')
    .option('--park', 'keep it for a workflow that has not started yet')
    .action(async (id: string, message: string, options: change.SendOptions, command: Command) => {
      const body = message === '-' ? await readAll(streams.stdin) : message;
      await change.sendMessage(context(command), id, body, options);
    });

  return program;
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
