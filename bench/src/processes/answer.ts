// The other side of start.ts: what the program of a further process does with what it is asked. It ends when it is
// told to, or with its parent.
import { type Answer, gathering, type Question } from './start.ts';

/** What a program offers by name; `close` comes last, before the process ends. */
export type Offers = Record<string, (argument: never) => unknown> & { close?: () => unknown };

export function answerParent(offers: Offers): void {
  const all: Offers = {
    cpuMicros: () => {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
    ...offers,
  };
  const answer = async ({ id, about, argument }: Question): Promise<Answer> => {
    try {
      const offer = all[about];
      if (offer === undefined) throw new Error(`Nothing is offered under the name ${about}.`);
      return { id, value: await offer(argument as never) };
    } catch (error) {
      return { id, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  const send = gathering((answers: Answer[]) => process.send?.(answers));
  process.on('message', (questions) => {
    for (const question of questions as Question[]) {
      // By exit(), so that a CPU profile is written whatever a contender leaves behind.
      if (question.about === 'close') void Promise.resolve(offers.close?.()).finally(() => process.exit(0));
      else void answer(question).then(send);
    }
  });
  process.on('disconnect', () => process.exit(1));
  if (!process.connected) process.exit(1);
}
