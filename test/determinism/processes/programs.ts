// A process that runs the programs of a seed until somebody kills it or all of them have ended. What it sees it
// writes into a file at once, a line each, so that a kill loses nothing that was seen.
//
//   node programs.ts URL SEED COUNT FILE      prints "ready", begins when a line comes in, prints "done"

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { openSync, writeSync } from 'node:fs';
import { Pawl } from '@pawl/core';
import { messagesFor, quiet, runToTheEnd } from '../generations.ts';
import { registerPrograms } from '../interpret.ts';
import type { Ending } from '../program.ts';
import { createRandom } from '../random.ts';
import { programsOf, type Seen } from '../seen.ts';

const [url = '', seed = '', count = '', file = ''] = process.argv.slice(2);
const out = openSync(file, 'a');
const see = (seen: Seen): void => {
  writeSync(out, `${JSON.stringify(seen)}\n`);
};

const life = { dead: false };
const pawl = new Pawl({ database: url, logger: quiet, parkAfterSeconds: 0.1 });
const program = registerPrograms({
  pawl,
  life,
  table: 'effect',
  witness: {
    body: (_life, workflowID) => {
      const run = randomUUID();
      see({ what: 'body', run, workflowID });
      return {
        call: (label, stepID) => see({ what: 'call', run, label, stepID }),
        got: (label, result) => see({ what: 'got', run, label, result }),
        refused: () => see({ what: 'refused', run }),
      };
    },
    executes: (_life, workflowID, stepID, label) => see({ what: 'executes', workflowID, stepID, label }),
  },
});

console.log('ready');
await once(process.stdin, 'data');
process.stdin.unref();
await pawl.launch();
const workflows = programsOf(Number(seed), Number(count));
const batch = { workflows, endings: new Map<string, Ending>(), cancelled: false };
const random = createRandom(process.pid);
await runToTheEnd({ ...batch, random, unsent: messagesFor(workflows) }, life, pawl, program);
for (const [workflowID, ending] of batch.endings) see({ what: 'ending', workflowID, ending });
console.log('done');
await pawl.shutdown();
