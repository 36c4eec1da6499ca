// What the simulated workflows do: small programs over few workflows, so that they meet all the time. Who waits for a
// result or an event waits for a workflow further down, so that the whole can come to an end.
import type { Random } from '../determinism/random.ts';

export type Call =
  /** `attempts`: a row says that it began, before the row says what it came to. */
  | { kind: 'step'; attempts: boolean }
  | { kind: 'setEvent'; key: string; once: boolean }
  | { kind: 'writeStream' | 'closeStream'; key: string }
  | { kind: 'send'; to: string; topic: string; park: boolean }
  | { kind: 'recv'; topic: string; timeoutMs: number | null }
  | { kind: 'getEvent'; of: string; key: string; timeoutMs: number | null }
  | { kind: 'getResult'; of: string; timeoutMs: number | null }
  | { kind: 'sleep'; timeoutMs: number }
  | { kind: 'start' };

/** Stages, one after the other; the calls of a stage run side by side. */
type Program = readonly (readonly Call[])[];

export interface World {
  /** Those that callers start. */
  readonly ids: readonly string[];
  /** Of any id: a child's and a fork's too. */
  program(id: string): Program;
  readonly maxAttempts: number;
  readonly deadlineMs: number | null;
  /** Some are started in a queue, or later. */
  readonly queued: boolean;
}

export const NAME = 'job';
export const VERSION = '1';
export const LEASE_MS = 1000;
/** Far longer than anything that a schedule lets pass before all has come to rest. */
export const LONG_MS = 1_000_000;
export const SHORT_MS = 30;

const CHILD: Program = [
  [
    { kind: 'step', attempts: false },
    { kind: 'writeStream', key: 'x' },
  ],
  [{ kind: 'setEvent', key: 'k', once: false }],
];

export function makeWorld(seed: number, random: Random): World {
  // The order of the ids is that of the locks; who waits for whom is independent of it.
  const letters = ['a', 'b', 'c'].sort(() => random.next() - 0.5).slice(0, random.whole(2, 3));
  const ids = letters.map((letter) => `${seed}${letter}`);
  const programs = new Map<string, Program>();
  for (let i = 0; i < ids.length; i++) programs.set(ids[i] as string, makeProgram(random, ids, i));
  return {
    ids,
    program: (id) => {
      const root = id.replace(/-f\d*$/, '');
      return programs.get(root) ?? CHILD;
    },
    maxAttempts: random.chance(10) ? 1 : 100,
    deadlineMs: random.chance(10) ? 2000 : null,
    queued: random.chance(40),
  };
}

function makeProgram(random: Random, ids: readonly string[], role: number): Program {
  const stages: Call[][] = [];
  const children: string[] = [];
  let step = 0;
  const count = random.whole(1, 3);
  for (let i = 0; i < count; i++) {
    const stage: Call[] = [];
    const width = random.chance(35) ? 2 : 1;
    for (let j = 0; j < width; j++) {
      const call = makeCall(random, ids, role, children);
      if (call.kind === 'start') children.push(`${ids[role]}-${step}`);
      stage.push(call);
      step++;
    }
    stages.push(stage);
  }
  return stages;
}

function makeCall(random: Random, ids: readonly string[], role: number, children: readonly string[]): Call {
  const below = [...ids.slice(role + 1), ...children];
  const timeoutMs = (): number | null => random.pick([SHORT_MS, LONG_MS, LONG_MS, null]);
  const kind = random.pick(
    below.length === 0
      ? ([
          'step',
          'step',
          'step',
          'setEvent',
          'setEvent',
          'writeStream',
          'writeStream',
          'closeStream',
          'send',
          'recv',
          'recv',
          'sleep',
          'start',
        ] as const)
      : ([
          'step',
          'step',
          'setEvent',
          'writeStream',
          'send',
          'recv',
          'getEvent',
          'getEvent',
          'getResult',
          'getResult',
          'sleep',
          'start',
        ] as const),
  );
  switch (kind) {
    case 'step':
      return { kind, attempts: random.chance(30) };
    case 'setEvent':
      return { kind, key: random.pick(['k', 'k', 'l']), once: random.chance(30) };
    case 'writeStream':
    case 'closeStream':
      return { kind, key: random.pick(['x', 'x', 'y']) };
    case 'send':
      return { kind, to: random.pick(ids), topic: random.pick(['t', 't', 'u']), park: random.chance(70) };
    case 'recv':
      return { kind, topic: random.pick(['t', 't', 'u']), timeoutMs: timeoutMs() };
    case 'getEvent':
      // Nobody may ever set it.
      return { kind, of: random.pick(below), key: 'k', timeoutMs: timeoutMs() ?? LONG_MS };
    case 'getResult':
      return { kind, of: random.pick(below), timeoutMs: timeoutMs() };
    case 'sleep':
      return { kind, timeoutMs: random.pick([SHORT_MS, LONG_MS]) };
    case 'start':
      return { kind };
  }
}
