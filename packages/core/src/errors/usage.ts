// Owns the errors that say: the program calls Pawl in a way that cannot work. The cure is a change of code.
// Never holds what can go wrong in a correct program.
import { named, PawlError } from './pawl-error.ts';
import { ofWorkflow, quote } from './wording.ts';

/**
 * A workflow verb was called while the instance is not running: before `launch()`, or once `shutdown()` has begun.
 *
 * @example
 * const pawl = new Pawl();
 * await pawl.startWorkflow(checkout)(order); // rejects with NotLaunchedError
 */
export class NotLaunchedError extends PawlError {
  static {
    named(this, 'NotLaunchedError');
  }
  readonly code = 'PAWL_NOT_LAUNCHED';
  /** True while launching or stopping: this process, or its successor, will take the call soon. */
  readonly retryable: boolean;
  readonly verb: string;

  constructor(verb: string, state: 'idle' | 'launching' | 'stopping' = 'idle') {
    const advice = {
      idle: 'Call and await pawl.launch() first.',
      launching: 'Await the promise that pawl.launch() returned first.',
      stopping: 'This process is shutting down; another one will take the call.',
    };
    super(
      `${verb}() was called while Pawl is ${state === 'idle' ? 'not launched' : state}. ${advice[state]}`,
    );
    this.retryable = state !== 'idle';
    this.verb = verb;
  }
}

/**
 * A verb that only means something inside a workflow (`sleep`, `recv`, `setEvent`, …) was called outside of one.
 *
 * @example
 * app.get('/', async () => pawl.sleep('1s')); // rejects with NotInWorkflowError
 */
export class NotInWorkflowError extends PawlError {
  static {
    named(this, 'NotInWorkflowError');
  }
  readonly code = 'PAWL_NOT_IN_WORKFLOW';
  readonly retryable = false;
  readonly verb: string;

  constructor(verb: string) {
    super(
      `${verb}() was called outside of a workflow. Call it in the body of a registered workflow, ` +
        `in code that the body awaits.`,
    );
    this.verb = verb;
  }
}

/**
 * A workflow verb was called inside a step or a transaction. A step is recorded as one unit, so nothing durable can
 * happen within it.
 *
 * @example
 * await pawl.runStep(async () => pawl.sleep('1m')); // rejects with InStepError
 */
export class InStepError extends PawlError {
  static {
    named(this, 'InStepError');
  }
  readonly code = 'PAWL_IN_STEP';
  readonly retryable = false;
  readonly verb: string;

  constructor(verb: string, where: 'step' | 'transaction' = 'step', workflowID?: string) {
    super(
      `${verb}() was called inside a ${where}${ofWorkflow(workflowID)}. A ${where} runs and is recorded as one unit: ` +
        `let it return what it found out, and call ${verb}() in the workflow after it.`,
    );
    this.verb = verb;
  }
}

/**
 * A name was used that this process has not registered: a workflow started or recovered by name, a schedule, a
 * configured instance.
 *
 * @example
 * await client.startWorkflow('chekcout')(order); // rejects with NotRegisteredError
 */
export class NotRegisteredError extends PawlError {
  static {
    named(this, 'NotRegisteredError');
  }
  readonly code = 'PAWL_NOT_REGISTERED';
  readonly retryable = false;
  /** The name that nothing is registered under; not `name`, which every error has. */
  readonly missing: string;

  constructor(missing: string, kind: 'workflow' | 'schedule' | 'instance' | (string & {}) = 'workflow') {
    super(
      `No ${kind} is registered under the name ${quote(missing)}. Check the spelling, and that the module ` +
        `that registers it is imported by this process.`,
    );
    this.missing = missing;
  }
}

/**
 * A setting, an option or a registration is wrong. Thrown as early as it can be known.
 *
 * @example
 * pawl.registerWorkflow(async () => {}); // throws ConfigurationError: the function has no name
 */
export class ConfigurationError extends PawlError {
  static {
    named(this, 'ConfigurationError');
  }
  readonly code = 'PAWL_CONFIGURATION';
  readonly retryable = false;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/**
 * A workflow was sent to a queue that no process ever registered. Nothing was written.
 *
 * @example
 * await pawl.startWorkflow(resize, { queueName: 'imagse' })(id); // rejects with UnknownQueueError
 */
export class UnknownQueueError extends PawlError {
  static {
    named(this, 'UnknownQueueError');
  }
  readonly code = 'PAWL_UNKNOWN_QUEUE';
  readonly retryable = false;
  readonly queueName: string;

  constructor(queueName: string, workflowID?: string) {
    super(
      `Queue ${quote(queueName)} does not exist${workflowID === undefined ? '' : `; workflow ${quote(workflowID)} was not started`}. ` +
        `Register it with pawl.registerQueue(${quote(queueName)}), or check the spelling.`,
    );
    this.queueName = queueName;
  }
}
