// Programs: what a random workflow does, as data. Every leaf has a label of its own and a result that depends on the
// label alone, so a result that reached the wrong branch is seen at once.

import type { Random } from './random.ts';

type LeafKind =
  | 'step'
  | 'failing'
  | 'retried'
  | 'transaction'
  | 'failingTransaction'
  | 'readOnly'
  | 'sleep'
  | 'message'
  | 'echo'
  | 'silence'
  | 'event'
  | 'ownEvent'
  | 'child'
  | 'failingChild'
  | 'randomUUID'
  | 'patch';

export interface Leaf {
  kind: LeafKind;
  label: string;
  /** How long its function takes: turns of the event loop, or milliseconds if negative; Infinity: until enough results
   *  are known. */
  pause: number;
}

export type GroupKind = 'chain' | 'all' | 'allSettled' | 'race' | 'any';

export interface Group {
  kind: GroupKind;
  label: string;
  /** An error of it is caught where it arises, and the program goes on. */
  guarded: boolean;
  members: Program[];
}

export type Program = Leaf | Group;

export function isGroup(program: Program): program is Group {
  return 'members' in program;
}

export function leavesOf(program: Program): Leaf[] {
  return isGroup(program) ? program.members.flatMap(leavesOf) : [program];
}

/** What the leaf of this label gives, wherever and however often it runs. */
export function valueOf(label: string): string {
  return `value of ${label}`;
}

export function errorOf(label: string): string {
  return `error of ${label}`;
}

const LEAVES: readonly LeafKind[] = [
  ...['step', 'step', 'step', 'step', 'step', 'failing', 'retried', 'transaction', 'transaction'],
  ...['failingTransaction', 'readOnly', 'sleep', 'sleep', 'message', 'message', 'echo', 'silence', 'event'],
  ...['ownEvent', 'child', 'child', 'failingChild', 'randomUUID', 'patch'],
] as LeafKind[];
const GROUPS: readonly GroupKind[] = ['chain', 'chain', 'all', 'all', 'allSettled', 'race', 'any'];

/** A chain of a few concurrent blocks with chains in them, some twelve leaves in all. */
export function randomProgram(random: Random): Group {
  let labels = 0;
  const pause = (): number => (random.chance(30) ? -random.whole(1, 5) : random.whole(0, 8));
  const leaf = (): Leaf => ({ kind: random.pick(LEAVES), label: `L${++labels}`, pause: pause() });
  const member = (depth: number): Program =>
    depth === 0 || random.chance(45) ? leaf() : group(random.pick(GROUPS), depth - 1);
  const group = (kind: GroupKind, depth: number): Group => ({
    kind,
    label: `G${++labels}`,
    guarded: random.chance(60),
    members: Array.from({ length: random.whole(2, 3) }, () => member(depth)),
  });
  const concurrent: GroupKind[] = ['all', 'allSettled', 'race', 'any'];
  return {
    kind: 'chain',
    label: 'root',
    guarded: true,
    members: [
      group(random.pick(concurrent), 2),
      leaf(),
      {
        kind: 'all',
        label: `G${++labels}`,
        guarded: true,
        members: Array.from({ length: random.whole(2, 4) }, () => group('chain', 0)),
      },
      leaf(),
    ],
  };
}

/** How a program may end. Every value is a text; a group's is made of those of its members. */
export interface Ending {
  value?: unknown;
  error?: string;
}

/** The value of a guarded group whose error was caught. */
export interface Caught {
  by: string;
  caught: string;
}

/** Whether this program can have ended like this: every value in the place of its own label. */
export function isPossible(program: Program, ending: Ending): boolean {
  if (typeof ending !== 'object' || ending === null) return false;
  const { error, value } = ending;
  if (isGroup(program) && program.guarded) {
    const caught = value as Caught | null | undefined;
    if (caught?.by === program.label)
      return isPossible({ ...program, guarded: false }, { error: caught.caught });
    if (error !== undefined) return false;
  }
  if (!isGroup(program)) return isPossibleLeaf(program, ending);
  const members = program.members;
  switch (program.kind) {
    case 'chain':
    case 'all':
      if (error !== undefined) return members.some((member) => isPossible(member, { error }));
      return (
        Array.isArray(value) &&
        value.length === members.length &&
        members.every((member, i) => isPossible(member, { value: value[i] as unknown }))
      );
    case 'allSettled':
      return (
        Array.isArray(value) &&
        value.length === members.length &&
        members.every((member, i) => isPossible(member, value[i] as Ending))
      );
    case 'race':
      return members.some((member) => isPossible(member, ending));
    case 'any':
      return error === undefined
        ? members.some((member) => isPossible(member, { value }))
        : error === 'All promises were rejected';
    default:
      return false;
  }
}

function isPossibleLeaf(leaf: Leaf, { value, error }: Ending): boolean {
  switch (leaf.kind) {
    case 'failing':
    case 'failingTransaction':
    case 'failingChild':
      return error === errorOf(leaf.label);
    case 'sleep':
    case 'ownEvent':
      return error === undefined && value === 'done';
    case 'silence':
      return error === undefined && value === null;
    case 'randomUUID':
      return error === undefined && typeof value === 'string';
    case 'patch':
      return error === undefined && value === true;
    default:
      return error === undefined && value === valueOf(leaf.label);
  }
}
