// The program of the stream tests that kill a writer: a workflow that writes to two streams, one value at a time and two
// at once, and closes one of them.
import { Pawl } from '@pawl/core';
import { crashAt, type CrashPoint } from '@pawl/core/testing';
import { serve } from '../../processes-suite/serve.ts';

const { DATABASE = '' } = process.env;
const quiet = () => {};
const pawl = new Pawl({
  name: 'writer',
  applicationVersion: 'v1',
  logger: { debug: quiet, info: quiet, warn: quiet, error: console.error },
  database: DATABASE.startsWith('postgres') ? DATABASE : { dataDir: DATABASE },
});

export const COUNT = 12;
const writing = pawl.registerWorkflow(
  async () => {
    for (let n = 0; n < COUNT; n += 3) {
      await pawl.writeStream('key', n);
      await Promise.all([
        pawl.writeStream('key', n + 1),
        pawl.writeStream('other', n),
        pawl.writeStream('key', n + 2),
      ]);
      await pawl.runStep(() => new Promise((resolve) => setTimeout(resolve, 5)), { name: 'work' });
    }
    await pawl.closeStream('key');
  },
  { name: 'writing' },
);

const reading = pawl.registerWorkflow(
  async (workflowID: string) => {
    const values: unknown[] = [];
    for await (const value of pawl.readStream(workflowID, 'key')) values.push(value);
    return values;
  },
  { name: 'reading' },
);

const launched = pawl.launch();
const methods = {
  ready: () => launched.then(() => {}),
  /** Starts one, and dies at the point. */
  crash: async (workflowID: string, point: CrashPoint) => {
    await launched;
    crashAt(pawl, { ...point, workflowID });
    await pawl.startWorkflow(writing, { workflowID })();
    await new Promise(() => {});
  },
  /** Starts one that reads that stream, and dies at the point. */
  crashReading: async (workflowID: string, of: string, point: CrashPoint) => {
    await launched;
    crashAt(pawl, { ...point, workflowID });
    await pawl.startWorkflow(reading, { workflowID })(of);
    await new Promise(() => {});
  },
  start: async (workflowID: string) => {
    await launched;
    await pawl.startWorkflow(writing, { workflowID })();
  },
  read: async (workflowID: string, key: string) => {
    await launched;
    const values: unknown[] = [];
    for await (const value of pawl.readStream(workflowID, key)) values.push(value);
    return values;
  },
};

export type Writer = typeof methods;
serve(methods);
