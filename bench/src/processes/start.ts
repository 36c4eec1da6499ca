// Starts a further process of a turn and asks it things, many at a time. Owns its life: it ends with the turn.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Question {
  id: number;
  about: string;
  argument: unknown;
}

export type Answer = { id: number; value: unknown } | { id: number; failure: string };

/** Gathers what is sent in one turn into one message: a message between processes costs more than many a question. */
export function gathering<T>(send: (all: T[]) => void): (one: T) => void {
  let gathered: T[] = [];
  return (one) => {
    if (gathered.push(one) > 1) return;
    setImmediate(() => {
      const all = gathered;
      gathered = [];
      send(all);
    });
  };
}

export interface TurnProcess extends AsyncDisposable {
  /** Has the process do what its program offers under that name, and gives what it answers. */
  ask(about: string, argument?: unknown): Promise<unknown>;
  /** What it has used so far. */
  cpuMicros(): Promise<number>;
}

/** `file` calls `answerParent` (answer.ts) once it is ready; `argument` is what it finds as its only argument. */
export function startProcess(file: URL, argument: unknown): TurnProcess {
  const child = fork(fileURLToPath(file), [JSON.stringify(argument)]);
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let lastId = 0;
  child.on('message', (answers) => {
    for (const answer of answers as Answer[]) {
      const asked = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ('failure' in answer) asked?.reject(new Error(answer.failure));
      else asked?.resolve(answer.value);
    }
  });
  const send = gathering((questions: Question[]) => {
    child.send(questions, (error) => {
      if (error !== null) for (const { id } of questions) waiting.get(id)?.reject(error);
    });
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code) => {
      for (const { reject } of waiting.values()) reject(new Error(`${file.pathname} ended with ${code}.`));
      resolve();
    });
  });
  const ask = async (about: string, argument?: unknown): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const question: Question = { id: ++lastId, about, argument };
      waiting.set(question.id, { resolve, reject });
      send(question);
    });
  return {
    ask,
    cpuMicros: async () => Number(await ask('cpuMicros')),
    async [Symbol.asyncDispose]() {
      if (child.connected) child.send([{ id: 0, about: 'close', argument: null }] satisfies Question[]);
      await ended;
    },
  };
}
