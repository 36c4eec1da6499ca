// What may be seen from outside of an engine: calls and results in the order in which a workflow's body met them,
// and every run of a step's function. It outlives the lives of the processes, and compares each life with those
// before it.

/** One Pawl that may die at any moment; the dead see and do nothing. */
export interface Mortal {
  readonly dead: boolean;
}

/** One run of a workflow's body. */
export interface Trace {
  call(label: string, stepID: number): void;
  got(label: string, result: unknown): void;
  /** The workflow is cancelled, or its process is stopping: no call is taken any more. What else this body gets to
   *  know, in some branches and not in others, concerns nobody. */
  refused(): void;
}

/** What the programs tell while they run. */
export interface Witness {
  /** A body begins. Its trace has to repeat what earlier bodies of this workflow met, and may go on after that. */
  body(life: Mortal, workflowID: string): Trace;
  /** Whether as many results are known as the batch wants before its patient steps end; no batch that has none says. */
  enough?(): boolean;
  /** The function of a step begins. */
  executes(life: Mortal, workflowID: string, stepID: number, label: string): void;
}

export interface Recorder extends Witness {
  /** Called with the number of results that bodies know, whenever that rises. */
  onResult: (known: number) => void;
  /** So many results are enough. */
  patience: number;
  /** These are recorded as completed: no function may run for them any more. Keys are `{workflow}#{step}`. */
  recorded(keys: Iterable<string>): void;
  /** The results of a workflow as its body met them, in order. */
  resultsOf(workflowID: string): { label: string; stepID: number; result: string }[];
  /** Runs of functions, by `{workflow}#{step}`. */
  readonly executions: ReadonlyMap<string, number>;
  /** Sentences about what must not have happened. */
  readonly violations: string[];
}

export function createRecorder(): Recorder {
  const longest = new Map<string, string[]>();
  const current = new Map<string, symbol>();
  const completed = new Set<string>();
  const delivered = new Set<string>();
  const executions = new Map<string, number>();
  const violations: string[] = [];

  const blame = (workflowID: string, sentence: string): void => {
    if (violations.length < 50) violations.push(`${workflowID}: ${sentence}`);
  };

  const recorder: Recorder = {
    onResult: () => {},
    patience: 0,
    enough: () => delivered.size >= recorder.patience,
    executions,
    violations,
    body: (life, workflowID) => {
      const run = Symbol(workflowID);
      if (!life.dead) current.set(workflowID, run);
      let met = 0;
      let over = false;
      const add = (event: string): void => {
        if (life.dead || over) return;
        if (current.get(workflowID) !== run) {
          blame(workflowID, `a body that had been replaced went on with "${event}"`);
          return;
        }
        let known = longest.get(workflowID);
        if (known === undefined) longest.set(workflowID, (known = []));
        if (met === known.length) known.push(event);
        else if (known[met] !== event)
          blame(workflowID, `event ${met} was "${known[met]}" and became "${event}"`);
        met++;
      };
      return {
        call: (label, stepID) => add(`call ${label} ${stepID}`),
        got: (label, result) => {
          add(`got ${label} ${JSON.stringify(result)}`);
          const known = delivered.size;
          if (!life.dead && !over) delivered.add(`${workflowID} ${label}`);
          if (delivered.size > known) recorder.onResult(delivered.size);
        },
        refused: () => {
          over = true;
        },
      };
    },
    executes: (life, workflowID, stepID, label) => {
      if (life.dead) return;
      const key = `${workflowID}#${stepID}`;
      executions.set(key, (executions.get(key) ?? 0) + 1);
      if (completed.has(key)) blame(workflowID, `step ${stepID} (${label}) ran although it was recorded`);
      if (delivered.has(`${workflowID} ${label}`))
        blame(workflowID, `step ${stepID} (${label}) ran although its result was known`);
    },
    recorded: (keys) => {
      for (const key of keys) completed.add(key);
    },
    resultsOf: (workflowID) => {
      const ids = new Map<string, number>();
      const results: { label: string; stepID: number; result: string }[] = [];
      for (const event of longest.get(workflowID) ?? []) {
        const [, what, label = '', rest = ''] = /^(\w+) (\S+) (.*)$/.exec(event) ?? [];
        if (what === 'call') ids.set(label, Number(rest));
        else results.push({ label, stepID: ids.get(label) ?? -1, result: rest });
      }
      return results;
    },
  };
  return recorder;
}
