// A studio whose films are converted scene by scene.
import { Pawl } from '@pawl/core';

export const pawl = new Pawl({ parkAfterSeconds: 0.05 });

export const convert = pawl.registerWorkflow(async (scene: string) => `${scene} in colour`, {
  name: 'convert',
});
