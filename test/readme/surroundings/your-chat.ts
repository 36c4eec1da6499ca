// Stands for the first sample of the page about streams where only the types of the second one matter.
import { Pawl } from '@pawl/core';

export const pawl = new Pawl();
export const chat = pawl.registerWorkflow(async (question: string) => question, { name: 'chat' });
