// docs/debounce.md: a burst of calls, of the app and of a client, is one run with the last text.
import type { Pawl, PawlClient, WorkflowHandle } from '@pawl/core';
import { expect, test } from 'vitest';
import { samplesIn } from './samples.ts';

const { sample, run, save, atEnd } = samplesIn('docs/debounce.md');

test('the index follows what was typed last', async () => {
  const { pawl, indexed, changed } = await run<{
    pawl: Pawl;
    indexed: string[];
    changed: (id: string, text: string) => Promise<string>;
  }>('app', sample('registerWorkflow', { "period: '2s', maxWait: '30s'": "period: '1h', maxWait: '2h'" }));
  await pawl.launch();
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  const { client, soon } = (await import(
    save('client', sample('PawlClient', { "period: '2s'": "period: '50ms'" }))
  )) as { client: PawlClient; soon: (id: string, text: string) => Promise<WorkflowHandle<string>> };
  atEnd(() => client.close());
  const ids = [await changed('a', 'H'), await changed('a', 'He')];
  const last = await soon('a', 'Hello');
  expect(new Set([...ids, last.workflowID]).size).toBe(1);
  expect(await pawl.retrieveWorkflow(last.workflowID).getResult()).toBe('Hello');
  expect(indexed).toEqual(['a: Hello']);
});
