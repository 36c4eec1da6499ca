// What every error of the catalog promises, and what the messages of some of them must say.
import { describe, expect, test } from 'vitest';
import {
  errorCatalog,
  MaxStepRetriesError,
  NonDeterminismError,
  NotLaunchedError,
  PawlError,
  SerializationError,
  StepTimeoutError,
  ValidationError,
  WorkflowCancelledError,
  WorkflowConflictError,
  WorkflowIDInUseError,
  WorkflowTimeoutError,
} from './index.ts';

const samples: Record<string, unknown[]> = {
  AwaitedWorkflowCancelledError: ['wf-1'],
  ConfigurationError: ['The pool is too small.'],
  DatabaseUnavailableError: ['Postgres did not answer.', { cause: new Error('ECONNREFUSED') }],
  HookRejectedError: ['approval', 'too expensive', 'wf-1'],
  StreamClosedError: ['tokens', 'wf-1'],
  InStepError: ['sleep'],
  MaxRecoveryAttemptsExceededError: ['wf-1', 3],
  MaxStepRetriesError: ['charge', [new Error('declined')]],
  NonDeterminismError: [
    {
      workflowID: 'wf-1',
      workflowName: 'checkout',
      stepID: 2,
      recorded: { kind: 'step', name: 'charge' },
      called: { kind: 'recv', target: 'payment' },
    },
  ],
  NonExistentWorkflowError: ['wf-1'],
  NotInWorkflowError: ['sleep'],
  NotLaunchedError: ['startWorkflow'],
  NotRegisteredError: ['checkout'],
  QueueDuplicatedError: ['wf-1', 'mail', 'customer-7'],
  SerializationError: ['$.a', 'it is a function'],
  StepTimeoutError: ['charge', 500],
  TimeoutError: ['Workflow "wf-1" did not end within 5 s.'],
  UnknownQueueError: ['mail'],
  ValidationError: ['The input does not fit.', [{ message: 'expected string', path: ['sku'] }]],
  WorkflowCancelledError: ['wf-1'],
  WorkflowConflictError: ['wf-1', 'checkout', 'refund'],
  WorkflowIDInUseError: ['wf-1', 'exists'],
  WorkflowTimeoutError: ['wf-1'],
};

function make(name: string): PawlError {
  const errorClass = errorCatalog[name] as unknown as new (...args: unknown[]) => PawlError;
  return new errorClass(...(samples[name] ?? []));
}

test('the catalog has a sample for every class, and nothing else', () => {
  expect(Object.keys(samples).sort()).toEqual(Object.keys(errorCatalog).sort());
});

describe.each(Object.keys(errorCatalog))('%s', (name) => {
  test('has its name, code, link and a say on retrying', () => {
    const error = make(name);
    expect(error).toBeInstanceOf(PawlError);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(name);
    expect(error.code).toBe(`PAWL_${snake(name)}`);
    expect(error.docs).toBe(`https://pawl.dev/errors#${error.code}`);
    expect(typeof error.retryable).toBe('boolean');
  });

  test('carries its name in the class definition, where renaming the class does not change it', () => {
    expect(Object.getOwnPropertyDescriptor(errorCatalog[name]?.prototype, 'name')).toMatchObject({
      value: name,
      enumerable: false,
    });
    expect(Object.hasOwn(make(name), 'name')).toBe(false);
    expect(make(name).stack?.split('\n')[0]).toBe(`${name}: ${make(name).message.split('\n')[0]}`);
  });

  test('says something in whole sentences', () => {
    expect(make(name).message).toMatch(/^([A-Z]|\w+\(\) )/);
    expect(make(name).message).not.toMatch(/undefined|\[object|\.\./);
  });
});

/** `WorkflowIDInUseError` → `WORKFLOW_ID_IN_USE` */
function snake(name: string): string {
  return name
    .replace(/Error$/, '')
    .replace(/ID(?=[A-Z])/, 'Id')
    .replace(/(?<=[a-z])(?=[A-Z])/g, '_')
    .toUpperCase();
}

test('codes are unique', () => {
  const codes = Object.keys(errorCatalog).map((name) => make(name).code);
  expect(new Set(codes).size).toBe(codes.length);
});

test('a timed out workflow is a cancelled workflow', () => {
  expect(new WorkflowTimeoutError('wf-1')).toBeInstanceOf(WorkflowCancelledError);
});

test('a nondeterministic replay shows both sides', () => {
  const error = make('NonDeterminismError') as NonDeterminismError;
  expect(error.message).toContain('Workflow "wf-1" (checkout)');
  expect(error.message).toContain(
    'At step 2 the journal has step "charge", but the code called recv for "payment".',
  );
  expect(error).toMatchObject({
    workflowID: 'wf-1',
    stepID: 2,
    recorded: { name: 'charge' },
    called: { kind: 'recv' },
  });
});

test('a recorded operation that the code never calls is told apart from one it adds', () => {
  const base = { workflowID: 'wf-1', workflowName: 'checkout', stepID: 2 };
  const recorded = new NonDeterminismError({
    ...base,
    recorded: { kind: 'step', name: 'charge' },
    called: null,
  });
  const called = new NonDeterminismError({
    ...base,
    recorded: null,
    called: { kind: 'step', name: 'charge' },
  });
  expect(recorded.message).toContain('the journal has step "charge", but the code never called it');
  expect(called.message).toContain('the journal has nothing, but the code called step "charge"');
});

test('used up retries keep every error and quote the last', () => {
  const errors = [new Error('timeout'), new Error('declined')];
  const error = new MaxStepRetriesError('charge', errors, 'wf-1');
  expect(error.errors).toEqual(errors);
  expect(error.cause).toBe(errors[1]);
  expect(error.message).toContain('Step "charge" of workflow "wf-1" failed 2 times');
  expect(error.message).toContain('declined');
});

test('a serialization error leads to the culprit, and to the workflow where that is known', () => {
  const error = new SerializationError('$.a', 'it is a function', {
    subject: 'the output of step "x"',
    workflowID: 'wf-1',
  });
  expect(error.path).toBe('$.a');
  expect(error.message).toMatch(
    /^Cannot store the output of step "x" of workflow "wf-1": \$\.a: it is a function\./,
  );
});

test('not launched is worth a retry only while that is about to change', () => {
  expect(new NotLaunchedError('sleep').retryable).toBe(false);
  expect(new NotLaunchedError('sleep', 'launching').retryable).toBe(true);
  expect(new NotLaunchedError('sleep', 'stopping').retryable).toBe(true);
});

test('a conflict between workflows of one name speaks of their parents instead', () => {
  expect(new WorkflowConflictError('id', 'checkout', 'refund').message).toContain(
    '"refund" cannot be started',
  );
  expect(new WorkflowConflictError('id', 'checkout', 'checkout').message).toContain('somebody else started');
});

test('an id in use says which policy refused it', () => {
  expect(new WorkflowIDInUseError('id', 'exists').message).toContain("duplicatePolicy is 'reject'");
  expect(new WorkflowIDInUseError('id', 'different-input').message).toContain('another input');
});

test('a validation error without issues has one, its message', () => {
  expect(new ValidationError('No.').issues).toEqual([{ message: 'No.' }]);
});

test('ids in messages cannot forge lines', () => {
  expect(new WorkflowCancelledError('a\nb').message).not.toContain('\n');
  expect(new StepTimeoutError('a\nb', 1).message).not.toContain('\n');
});
