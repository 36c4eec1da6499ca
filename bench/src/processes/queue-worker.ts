// The process that works on one contender's queue, and counts what it runs. It has the contender's code, but no connection
// before it is told to serve.
import { sharedMs } from '../clock.ts';
import type { Contender } from '../contract.ts';
import { queuePeerOf } from '../peers/load.ts';
import type { QueueWorker } from '../peers/queue-peer.ts';
import { answerParent } from './answer.ts';

export interface QueueWork {
  contender: Contender;
  databaseUrl: string;
  workerConcurrency: number | undefined;
}

/** What has run here: `firstMs` is when the first body began, by the clock that all processes share. */
export interface Tally {
  firstMs: number | null;
  runs: number;
}

const { contender, databaseUrl, workerConcurrency } = JSON.parse(process.argv[2] ?? '') as QueueWork;
const peer = await queuePeerOf(contender);
const tally: Tally = { firstMs: null, runs: 0 };
let worker: QueueWorker | undefined;

answerParent({
  async serve() {
    if (worker !== undefined) {
      await worker.pausing?.resume();
      return;
    }
    worker = await peer.work(databaseUrl, {
      workerConcurrency,
      purpose: 'rate',
      async observe(body) {
        tally.firstMs ??= sharedMs();
        const result = await body();
        tally.runs++;
        return result;
      },
    });
  },
  tally: () => tally,
  /** Stops working, and forgets what it counted, until it is told to serve again. */
  async rest() {
    if (worker?.pausing !== undefined) await worker.pausing.pause();
    else {
      await worker?.close();
      worker = undefined;
    }
    Object.assign(tally, { firstMs: null, runs: 0 } satisfies Tally);
  },
  close: () => worker?.close(),
});
