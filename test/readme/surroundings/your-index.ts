// The workflow that the client of docs/debounce.md calls by its name.
import { Pawl } from '@pawl/core';

const pawl = new Pawl();

export const reindex = pawl.registerWorkflow(async (id: string, text: string) => `${id}: ${text}`, {
  name: 'reindex',
});
