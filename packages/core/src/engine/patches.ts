// Patches: how changed code tells the runs that began before the change from those that began after it. A run that
// asks where it has never been records a marker and goes the new way; one that has been past this point without a
// marker goes the old way.

import type { Activation } from './activation.ts';
import type { EngineHost } from './host.ts';
import { record, replay, stepPart } from './record.ts';

/** True: the new way. The first answer holds for the whole run, which must not change its way in the middle. */
export function patch(host: EngineHost, activation: Activation, name: string): Promise<boolean> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  let answer = activation.patches.get(name);
  if (answer === undefined) {
    answer = activation.marker(name) === false ? Promise.resolve(false) : passMarker(host, activation, name);
    activation.patches.set(name, answer);
  }
  return answer;
}

/** For code that has the new way only: passes the marker of a run that has one, and leaves none. */
export async function deprecatePatch(host: EngineHost, activation: Activation, name: string): Promise<void> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  const marker = activation.marker(name);
  if (marker !== false && marker !== undefined) await passMarker(host, activation, name);
}

/** Replays the marker, or records it. */
function passMarker(host: EngineHost, activation: Activation, name: string): Promise<boolean> {
  const stepID = activation.takeStepID();
  const row = activation.recorded(stepID, 'patch', name);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<boolean>((resolve, reject) => {
    const deliver = () => resolve(true);
    if (row !== undefined) {
      replay(activation, row, deliver);
      return;
    }
    // A later record without this marker would say that the run is an old one. The journal keeps the order, and the
    // marker even if the workflow was cancelled meanwhile, as it keeps later steps; transactions commit beside it, and wait.
    activation.marking = new Promise((known) => {
      record(host, {
        ...{ activation, stepID, keep: true, deliver },
        step: stepPart({ kind: 'patch', name }),
        written: () => known(),
        reject: (error) => {
          known();
          reject(error);
        },
      });
    });
  });
}
