// The workflow that the suites of the workflow routes ask about: it tells how far it is, and waits for words.
import { setTimeout as pause } from 'node:timers/promises';
import type { AppUnderTest } from './app-under-test.ts';

export interface Telling {
  /** Starts one and waits until it has set its first event. `fail`: the status of the error that it ends with. */
  start(options?: { id?: string; fail?: number; user?: string }): Promise<string>;
  /** Says the word that it waits for, and waits for its end. */
  finish(workflowID: string, word?: string): Promise<void>;
}

/** Call it in `beforeAll`. Events: `progress` 1, then, after a message to `word`, `progress` 2; result: `heard WORD`. */
export function registerTelling(app: AppUnderTest): Telling {
  const { pawl } = app;
  let count = 0;
  const tell = app.register('tell', async (fail: number) => {
    await pawl.setEvent('progress', { step: 1 });
    const word = await pawl.recv<string>('word', 600);
    await pawl.runStep(() => `secret of ${word}`, { name: 'think' });
    await pawl.setEvent('progress', { step: 2 });
    if (fail > 0) throw Object.assign(new Error('as asked'), { status: fail });
    if (fail < 0) throw new Error('the password is 1234');
    return `heard ${word}`;
  });
  return {
    async start({ id = `${app.framework.name}-${(count += 1)}`, fail = 0, user = 'alice' } = {}) {
      await pawl.withAuth({ user }, () => pawl.startWorkflow(tell, { workflowID: id })(fail));
      await pawl.getEvent(id, 'progress', 20);
      return id;
    },
    async finish(workflowID, word = 'hello') {
      await pawl.send(workflowID, word, 'word');
      await pawl
        .retrieveWorkflow(workflowID)
        .getResult({ timeoutSeconds: 20 })
        .catch(() => undefined);
    },
  };
}

/** Resolves once it is so; a wait for what tells nobody of itself. */
export async function becomes(is: () => boolean | Promise<boolean>, seconds = 25): Promise<void> {
  const until = performance.now() + seconds * 1000;
  while (!(await is())) {
    if (performance.now() > until) throw new Error(`It did not come to ${is}`);
    await pause(10);
  }
}
