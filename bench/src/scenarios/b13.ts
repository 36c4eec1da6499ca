// B13: how long a process takes from nothing to ready, on a database that is migrated, beside one that only connects.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Scenario } from '../contract.ts';
import { median } from '../measure.ts';

const launches = 15;
const program = fileURLToPath(new URL('../processes/launch.mjs', import.meta.url));

export const b13: Scenario = {
  id: 'B13',
  title: 'import and launch to ready, beside import of pg and connect',
  unit: 'launches/s',
  contenders: ['pawl'],
  minutes: 3,
  targets: [{ against: null, figure: 'overConnectMs', bound: { atMost: 300 } }],
  async turn(_contender, { databaseUrl }) {
    // The first one migrates.
    await launchMs('pawl', databaseUrl);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let n = 0; n < launches; n++) {
      ours.push(await launchMs('pawl', databaseUrl));
      theirs.push(await launchMs('pg', databaseUrl));
    }
    return {
      perSecond: 1000 / median(ours),
      p50Ms: median(ours),
      connectMs: median(theirs),
      overConnectMs: median(ours) - median(theirs),
    };
  },
};

async function launchMs(what: 'pawl' | 'pg', databaseUrl: string): Promise<number> {
  const child = fork(program, [what, databaseUrl], { execArgv: [] });
  let ms = Number.NaN;
  child.on('message', (took) => (ms = Number(took)));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 || Number.isNaN(ms))
    throw new Error(`The process that launches ${what} ended with ${code}.`);
  return ms;
}
