// Workflows that run programs. The source of a workflow is the same in every life, so every life may go on with
// what another one began.

import { type Pawl, type Workflow, WorkflowCancelledError } from '@pawl/core';
import {
  type Caught,
  errorOf,
  type Ending,
  type Group,
  isGroup,
  type Leaf,
  type Program,
  valueOf,
} from './program.ts';
import type { Mortal, Trace, Witness } from './recorder.ts';

export interface Surroundings {
  pawl: Pawl;
  life: Mortal;
  witness: Witness;
  /** A table (workflow text, label text) that transactions write into. */
  table: string;
}

export type ProgramWorkflow = Workflow<[program: Program], Ending>;

const never = new Promise<never>(() => {});

export function registerPrograms({ pawl, life, witness, table }: Surroundings): ProgramWorkflow {
  /** The work of a step. In a dead process it never ends. */
  const work = async (pause: number): Promise<void> => {
    if (pause === Number.POSITIVE_INFINITY)
      while (!life.dead && witness.enough?.() === false) await new Promise(setImmediate);
    else if (pause < 0) await new Promise((resolve) => setTimeout(resolve, -pause));
    else for (let turn = 0; turn < pause; turn++) await new Promise(setImmediate);
    if (life.dead) await never;
  };

  /** Makes the call, so that it has its id, and notes the order of calls and results. */
  const note = async <T>(trace: Trace, label: string, call: () => Promise<T>): Promise<T> => {
    const before = pawl.stepID;
    const promise = call();
    if (pawl.stepID !== before) trace.call(label, pawl.stepID as number);
    else trace.refused();
    try {
      const value = await promise;
      trace.got(label, value);
      return value;
    } catch (error) {
      if (error instanceof WorkflowCancelledError) trace.refused();
      else trace.got(label, { error: (error as Error).message });
      throw error;
    }
  };

  const step = (trace: Trace, label: string, pause: number, failures = 0): Promise<string> =>
    note(trace, label, () =>
      pawl.runStep(
        async ({ workflowID, stepID, attempt }) => {
          witness.executes(life, workflowID, stepID, label);
          await work(pause);
          if (attempt <= failures) throw new Error(errorOf(label));
          return valueOf(label);
        },
        failures > 0 && Number.isFinite(failures)
          ? { name: label, retriesAllowed: true, maxAttempts: 50, intervalSeconds: 0.001 }
          : { name: label },
      ),
    );

  const transaction = (trace: Trace, { label, pause }: Leaf, fails: boolean): Promise<string> =>
    note(trace, label, () =>
      pawl.runTransaction(
        async (tx) => {
          await tx.query(`INSERT INTO ${table} VALUES ($1, $2)`, [pawl.workflowID, label]);
          await work(pause);
          if (fails) throw new Error(errorOf(label));
          return valueOf(label);
        },
        { name: label, isolationLevel: pause % 3 === 0 ? 'SERIALIZABLE' : 'READ COMMITTED' },
      ),
    );

  /** Starts a child and waits for what it gives. */
  const child = async (
    trace: Trace,
    { label, pause }: Leaf,
    workflow: Workflow<[label: string, pause: number, fails: boolean], string>,
    fails: boolean,
    wait: (workflowID: string, result: () => Promise<string>) => Promise<string>,
  ): Promise<string> => {
    let result = (): Promise<string> => never;
    const id = await note(trace, `${label}>`, async () => {
      const handle = await pawl.startWorkflow(workflow)(label, pause, fails);
      result = () => handle.getResult();
      return handle.workflowID;
    });
    return note(trace, label, () => wait(id, result));
  };

  const runLeaf = async (trace: Trace, leaf: Leaf): Promise<unknown> => {
    const { label, pause } = leaf;
    const id = pawl.workflowID as string;
    switch (leaf.kind) {
      case 'step':
        return step(trace, label, pause);
      case 'failing':
        return step(trace, label, pause, Number.POSITIVE_INFINITY);
      case 'retried':
        return step(trace, label, pause, 1 + (Math.abs(pause) % 2));
      case 'transaction':
        return transaction(trace, leaf, false);
      case 'failingTransaction':
        return transaction(trace, leaf, true);
      case 'readOnly':
        return note(trace, label, () =>
          pawl.runTransaction(
            async (tx) =>
              (await tx.query<{ v: string }>('SELECT $1::text AS v', [valueOf(label)])).rows[0]?.v,
            { name: label, readOnly: true },
          ),
        );
      case 'sleep':
        return note(trace, label, () => pawl.sleep(Math.abs(pause) * 2).then(() => 'done'));
      case 'message':
        return note(trace, label, () => pawl.recv(label, Number.POSITIVE_INFINITY));
      case 'echo':
        await note(trace, `${label}>`, () => pawl.send(id, valueOf(label), label));
        return note(trace, label, () => pawl.recv(label, Number.POSITIVE_INFINITY));
      case 'silence':
        return note(trace, label, () => pawl.recv(label, 0.004));
      case 'event':
        return child(trace, leaf, announce, false, async (workflowID) =>
          String(await pawl.getEvent(workflowID, label, Number.POSITIVE_INFINITY)),
        );
      case 'ownEvent':
        return note(trace, label, () => pawl.setEvent(label, valueOf(label)).then(() => 'done'));
      case 'child':
        return child(trace, leaf, offspring, false, (_id, result) => result());
      case 'failingChild':
        return child(trace, leaf, offspring, true, (_id, result) => result());
      case 'patch':
        return note(trace, label, () => pawl.patch(label));
      case 'randomUUID':
        return note(trace, label, () => pawl.randomUUID());
      default:
        throw new Error(`unknown leaf ${String(leaf.kind)}`);
    }
  };

  const runGroup = async (trace: Trace, { kind, members }: Group): Promise<unknown> => {
    if (kind === 'chain') {
      const values: unknown[] = [];
      for (const member of members) values.push(await run(trace, member));
      return values;
    }
    const branches = members.map((member) => run(trace, member));
    switch (kind) {
      case 'all':
        return Promise.all(branches);
      case 'race':
        return Promise.race(branches);
      case 'any':
        return Promise.any(branches);
      case 'allSettled':
        return (await Promise.allSettled(branches)).map((result) =>
          result.status === 'fulfilled'
            ? { value: result.value }
            : { error: (result.reason as Error).message },
        );
      default:
        throw new Error(`unknown group ${String(kind)}`);
    }
  };

  const run = async (trace: Trace, program: Program): Promise<unknown> => {
    if (!isGroup(program)) return runLeaf(trace, program);
    if (!program.guarded) return runGroup(trace, program);
    try {
      return await runGroup(trace, program);
    } catch (error) {
      return { by: program.label, caught: (error as Error).message } satisfies Caught;
    }
  };

  const begin = (): Trace => witness.body(life, pawl.workflowID as string);

  const offspring = pawl.registerWorkflow(async function offspring(
    label: string,
    pause: number,
    fails: boolean,
  ) {
    const trace = begin();
    await Promise.all([step(trace, `${label}.a`, pause), step(trace, `${label}.b`, 2)]);
    if (fails) throw new Error(errorOf(label));
    return valueOf(label);
  });

  const announce = pawl.registerWorkflow(async function announce(label: string, pause: number) {
    const trace = begin();
    await step(trace, `${label}.a`, pause);
    await note(trace, `${label}.b`, () => pawl.setEvent(label, valueOf(label)).then(() => 'done'));
    await step(trace, `${label}.c`, pause);
    return valueOf(label);
  });

  return pawl.registerWorkflow(async function program(root: Program): Promise<Ending> {
    const trace = begin();
    try {
      return { value: await run(trace, root) };
    } catch (error) {
      return { error: (error as Error).message };
    }
  });
}
