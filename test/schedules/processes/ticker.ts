// A process with two schedules that tick every second. Each run notes, exactly once, for which tick it is.
import { Pawl } from '@pawl/core';
import { serve } from '../../processes-suite/serve.ts';

const { DATABASE = '' } = process.env;
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const pawl = new Pawl({ database: DATABASE, logger: quiet });

for (const mode of ['catch-up', 'skip-missed'] as const) {
  const workflow = pawl.registerWorkflow(
    async (scheduledAt: Date, startedAt: Date) => {
      await pawl.runTransaction((tx) =>
        tx.query('INSERT INTO noted (mode, tick, started) VALUES ($1, $2, $3)', [
          mode,
          scheduledAt,
          startedAt,
        ]),
      );
    },
    { name: mode },
  );
  pawl.registerScheduled(workflow, { crontab: '* * * * * *', mode });
}

const methods = {
  launch: async () => {
    await pawl.launch();
  },
  shutdown: () => pawl.shutdown(),
};

export type Ticker = typeof methods;
serve(methods);
