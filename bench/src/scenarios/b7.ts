// B7: messages to workflows that wait for them, from their own process and from another one.
import { setTimeout as delay } from 'node:timers/promises';
import { sharedMs } from '../clock.ts';
import type { Contender, Figures, Scenario, Turn } from '../contract.ts';
import { measure, ownCpuMicros, percentile } from '../measure.ts';
import { messagePeerOf } from '../peers/load.ts';
import type { MessageApp } from '../peers/message-peer.ts';
import type { Letter, SenderWork } from '../processes/sender.ts';
import { startProcess, type TurnProcess } from '../processes/start.ts';

const concurrency = 100;

/** How long a workflow is given to come to its `recv` and to wait there before the message is sent. */
const settleMs = 20;

const same: Scenario = {
  id: 'B7-same',
  title: 'start, send, recv, result; 100 at a time, sender in the same process',
  unit: 'workflows/s',
  contenders: ['pawl', 'dbos', 'restate'],
  targets: [{ against: 'dbos', figure: 'perSecond', bound: { atLeast: 15 } }],
  turn: (contender, turn) =>
    withApp(contender, turn, (app) =>
      measure({ ...turn, concurrency, serverPids: app.serverPids }, (n) =>
        exchange(app, n, (letter) => app.send(letter.workflowID, n)),
      ),
    ),
};

const other: Scenario = {
  ...same,
  id: 'B7-other',
  title: 'start, send, recv, result; 100 at a time, sender in another process',
  contenders: ['pawl', 'dbos'],
  turn: (contender, turn) =>
    withApp(contender, turn, (app) =>
      withSender(contender, turn, (sender) =>
        measure(
          { ...turn, concurrency, cpuMicros: async () => ownCpuMicros() + (await sender.cpuMicros()) },
          (n) => exchange(app, n, (letter) => sender.ask('send', letter)),
        ),
      ),
    ),
};

const wake: Scenario = {
  ...same,
  id: 'B7-wake',
  title: 'from send in one process to recv in another, one at a time',
  contenders: ['pawl', 'dbos'],
  unit: 'messages/s',
  targets: [{ against: null, figure: 'p50Ms', bound: { atMost: 5 } }],
  async turn(contender, turn) {
    const received = new Map<string, number>();
    const note = (workflowID: string): void => void received.set(workflowID, sharedMs());
    return withApp(
      contender,
      turn,
      (app) => withSender(contender, turn, (sender) => measureWakes(app, sender, turn, received)),
      note,
    );
  },
};

export const b7: readonly Scenario[] = [same, other, wake];

async function exchange(
  app: MessageApp,
  value: number,
  send: (letter: Letter) => Promise<unknown>,
): Promise<void> {
  const { workflowID, result } = await app.start();
  await send({ workflowID, value });
  const next = await result();
  if (next !== value + 1) throw new Error(`A workflow that was sent ${value} returned ${next}.`);
}

/** The time from the call of `send` in the sender's process to the end of `recv` in the workflow's. */
async function measureWakes(
  app: MessageApp,
  sender: TurnProcess,
  { warmupSeconds, seconds }: Turn,
  received: ReadonlyMap<string, number>,
): Promise<Figures> {
  const times: number[] = [];
  const measured = performance.now() + warmupSeconds * 1000;
  for (let n = 0; performance.now() < measured + seconds * 1000; n++) {
    const counts = performance.now() >= measured;
    await exchange(app, n, async (letter) => {
      await delay(settleMs);
      const beganMs = Number(await sender.ask('send', letter));
      const { workflowID } = letter;
      while (!received.has(workflowID)) await delay(1);
      if (counts) times.push((received.get(workflowID) ?? Number.NaN) - beganMs);
    });
  }
  if (times.length === 0) throw new Error('Not one message arrived in the measured time.');
  const sorted = Float64Array.from(times).sort();
  return {
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    runs: times.length,
  };
}

async function withApp(
  contender: Contender,
  { databaseUrl }: Turn,
  use: (app: MessageApp) => Promise<Figures>,
  received: (workflowID: string) => void = () => {},
): Promise<Figures> {
  const app = await (await messagePeerOf(contender)).launch(databaseUrl, received);
  try {
    return await use(app);
  } finally {
    await app.close();
  }
}

async function withSender(
  contender: Contender,
  { databaseUrl }: Turn,
  use: (sender: TurnProcess) => Promise<Figures>,
): Promise<Figures> {
  const work: SenderWork = { contender, databaseUrl };
  await using sender = startProcess(new URL('../processes/sender.ts', import.meta.url), work);
  // It answers once it is connected.
  await sender.cpuMicros();
  return await use(sender);
}
