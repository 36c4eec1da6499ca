// The process that sends the messages of B7 to workflows that run elsewhere.
import { sharedMs } from '../clock.ts';
import type { Contender } from '../contract.ts';
import { messagePeerOf } from '../peers/load.ts';
import { answerParent } from './answer.ts';

export interface SenderWork {
  contender: Contender;
  databaseUrl: string;
}

export interface Letter {
  workflowID: string;
  value: number;
}

const { contender, databaseUrl } = JSON.parse(process.argv[2] ?? '') as SenderWork;
const sender = await (await messagePeerOf(contender)).connect(databaseUrl);

answerParent({
  /** Answers with the moment at which it began, by the clock that all processes share. */
  async send({ workflowID, value }: Letter) {
    const beganMs = sharedMs();
    await sender.send(workflowID, value);
    return beganMs;
  },
  close: () => sender.close(),
});
