// Without OpenTelemetry: not installed, or installed and not set up, everything is as it is with it.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import type { EngineEvents } from '../../packages/core/src/telemetry/events.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

test(
  'where @opentelemetry/api cannot be resolved, workflows run and the logger says where',
  { timeout: 60_000 },
  async () => {
    const file = fileURLToPath(new URL('processes/plain.ts', import.meta.url));
    const flags = ['--import', 'tsx', '--conditions=@pawl/source'];
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, file, database.url]);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { refused: '@opentelemetry/api' },
      { workflowID: 'w', stepID: 0, msg: 'in the step' },
      { result: 'done' },
    ]);
  },
);

test('where no SDK is set up, nobody listens: a step costs no event', async () => {
  const pawl = new Pawl({ database: database.url, schema: 'quiet', logger: quiet });
  await pawl.launch();
  const { events } = internals(pawl);
  const names = [
    'workflow.starting',
    'workflow.activated',
    'step.started',
    'step.settled',
    'message.sending',
    'request.received',
  ] satisfies (keyof EngineEvents)[];
  expect(names.filter((name) => events.has(name))).toEqual([]);
  await pawl.shutdown();
});
