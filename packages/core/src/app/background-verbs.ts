// The verbs by which an app says what is run in the background: in queues, and by the clock.

import type { PawlCore } from './core.ts';
import { ManagementVerbs } from './management-verbs.ts';
import { type Queue, type QueueOptions, registerQueue } from './queues.ts';
import { registerScheduled, type Schedule, type ScheduleOptions } from './schedules.ts';
import type { Workflow } from './workflows.ts';

export class BackgroundVerbs extends ManagementVerbs {
  readonly #core: PawlCore;

  constructor(core: PawlCore) {
    super(core);
    this.#core = core;
  }

  /**
   * Defines a queue, or changes its limits: here, or in all processes once it is launched. The database has the
   * definition that was registered last. Pausing belongs to `pauseQueue`.
   * @throws ConfigurationError for a limit that cannot be
   * @example
   * pawl.registerQueue('images', { concurrency: 20, workerConcurrency: 5 });
   * await pawl.startWorkflow(resize, { queueName: 'images' })(id);
   */
  registerQueue(name: string, options?: QueueOptions): Queue {
    return registerQueue(this.#core, name, options);
  }

  /**
   * Has the clock start a workflow, as long as a process runs that registers this: once per tick, over all of them, with
   * the id `sched-{name}-{ISO instant}`. Its arguments are when it was to start, and when it was started. A change of these
   * options counts for all processes from the launch of the first that has it. Before or after `launch()`.
   * @throws ConfigurationError for a crontab or time zone that is none, a name that is taken
   * @example
   * pawl.registerScheduled(cancelUnpaid, { crontab: '0 * * * *' });
   */
  registerScheduled(
    workflow: Workflow<[scheduledAt: Date, startedAt: Date], unknown>,
    options: ScheduleOptions,
  ): Schedule {
    return registerScheduled(this.#core, workflow, options);
  }
}
