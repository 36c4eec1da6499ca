// Pawl with workflows that wait for a message, beside the counting one. Default configuration.
import { Pawl } from '@pawl/core';
import { countingApp, quietLogger } from './pawl.ts';
import type { WorkflowApp } from './workflow-app.ts';

const topic = 'go';
const daySeconds = 86_400;

export interface ParkingApp extends WorkflowApp {
  /** Starts one that waits. */
  wait(workflowID: string): Promise<void>;
  /** Sends it a number, and gives what it returned. */
  wake(workflowID: string, value: number): Promise<number | null>;
}

export async function launchParking(databaseUrl: string): Promise<ParkingApp> {
  const pawl = new Pawl({ name: 'bench', database: databaseUrl, logger: quietLogger });
  const waiting = pawl.registerWorkflow(() => pawl.recv<number>(topic, daySeconds), { name: 'waiting' });
  const app = countingApp(pawl, databaseUrl);
  await pawl.launch();
  return {
    ...app,
    async wait(workflowID) {
      await pawl.startWorkflow(waiting, { workflowID })();
    },
    async wake(workflowID, value) {
      await pawl.send(workflowID, value, topic);
      return pawl.retrieveWorkflow<number | null>(workflowID).getResult();
    },
  };
}
