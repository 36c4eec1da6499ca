// B6: a backlog, drained by one process and by two, and how fast it is put there.
import type { Contender, Figures, Scenario, Turn } from '../contract.ts';
import { withFreshDatabase } from '../database.ts';
import { measure } from '../measure.ts';
import { queuePeerOf } from '../peers/load.ts';
import { drain, durable } from './draining.ts';

const batch = 1_000;
// The counts of draining.ts: the rate does not depend on them, and a reader of the table should know.
const backlog = '20,000 queued (DBOS: 3,000, absurd: 4,000, openworkflow: 2,000)';

const one: Scenario = {
  id: 'B6-one',
  title: `${backlog}, drained by one process`,
  unit: 'workflows/s',
  contenders: ['pawl', 'dbos', 'openworkflow', 'graphile-worker', 'pg-boss', 'absurd'],
  minutes: 2,
  targets: [{ against: 'dbos', figure: 'perSecond', bound: { atLeast: 10 } }],
  turn: (contender, turn) => drain(contender, turn, { processes: 1 }),
};

const limited: Scenario = {
  ...one,
  id: 'B6-limited',
  title: '20,000 queued (DBOS: 3,000), drained by one process, workerConcurrency 100',
  contenders: ['pawl', 'dbos'],
  turn: (contender, turn) => drain(contender, turn, { processes: 1, workerConcurrency: 100 }),
};

const two: Scenario = {
  ...one,
  id: 'B6-two',
  title: '20,000 queued (DBOS: 3,000, absurd: 4,000), drained by two processes',
  contenders: ['pawl', 'dbos', 'graphile-worker', 'absurd'],
  minutes: 3,
  targets: [...one.targets, { against: null, figure: 'timesOne', bound: { atLeast: 1 } }],
  held:
    'One process fills 1.5 to 1.6 of the two cores, which it shares with the server; with a second one it is 1.75 to 1.8, ' +
    'and two processes cost more backends and smaller flushes.',
  async turn(contender, turn) {
    if (contender !== 'pawl') return drain(contender, turn, { processes: 2 });
    // In one turn and so a few seconds apart, because the machine drifts more than one and two differ; each in a database of
    // its own, because whoever drains the second backlog of a database is a tenth slower.
    const byOne = await withFreshDatabase(turn.databaseUrl, (databaseUrl) =>
      drain(contender, { ...turn, databaseUrl }, { processes: 1 }),
    );
    const byTwo = await drain(contender, turn, { processes: 2 });
    return {
      ...byTwo,
      perSecondOne: byOne['perSecond'] ?? NaN,
      timesOne: (byTwo['perSecond'] ?? NaN) / (byOne['perSecond'] ?? NaN),
    };
  },
};

const enqueue: Scenario = {
  id: 'B6-enqueue',
  title: 'enqueue, 1,000 a call, one call after another',
  unit: 'rows/s',
  contenders: ['pawl', 'dbos', 'graphile-worker', 'absurd'],
  targets: [{ against: null, figure: 'perSecond', bound: { atLeast: 30_000 } }],
  turn: enqueueTurn,
};

async function enqueueTurn(contender: Contender, turn: Turn): Promise<Figures> {
  const peer = await queuePeerOf(contender);
  const producer = await peer.produce(turn.databaseUrl, {});
  try {
    const figures = await measure({ ...turn, concurrency: 1, unitsPerRun: batch }, (n) =>
      producer.enqueue(Array.from({ length: batch }, (_, index) => n * batch + index)),
    );
    const { unfinished } = await durable(peer, turn.databaseUrl);
    const expected = (figures['totalRuns'] ?? 0) * batch;
    if (unfinished !== expected) throw new Error(`${unfinished} of ${expected} are queued.`);
    return figures;
  } finally {
    await producer.close();
  }
}

export const b6: readonly Scenario[] = [one, limited, two, enqueue];
