// Fifty branches at once, one of them failing, stopped when half of their results are known: the same step ids on
// replay, each branch its own results, no function run again for a step that is recorded.

import { expect, test } from 'vitest';
import { runBatch } from './generations.ts';
import type { Group, GroupKind, Leaf, Program } from './program.ts';
import { createRandom, type Random } from './random.ts';
import { embeddedWorld, serverWorld } from './settings.ts';

const BRANCHES = 50;
const server = serverWorld(1);
const embedded = embeddedWorld();

/** The failing one waits until half of the others are known, which `all` would not wait for. */
const leaf = (random: Random, label: string, kind: Leaf['kind'] = 'step'): Leaf => ({
  kind,
  label,
  pause:
    kind === 'failing'
      ? Number.POSITIVE_INFINITY
      : random.chance(50)
        ? -random.whole(1, 20)
        : random.whole(0, 30),
});

const group = (kind: GroupKind, label: string, members: Program[], guarded = false): Group => ({
  ...{ kind, label, members, guarded },
});

const branches = (make: (i: number) => Program): Program[] =>
  Array.from({ length: BRANCHES }, (_, i) => make(i));

const shapes: [string, (random: Random) => Group][] = [
  [
    'all',
    (random) =>
      group(
        'all',
        'root',
        branches((i) => leaf(random, `L${i}`, i === 17 ? 'failing' : 'step')),
        true,
      ),
  ],
  [
    'allSettled',
    (random) =>
      group(
        'allSettled',
        'root',
        branches((i) => leaf(random, `L${i}`, i === 17 ? 'failing' : 'step')),
      ),
  ],
  [
    'all over chains of two steps',
    (random) =>
      group(
        'all',
        'root',
        branches((i) =>
          group('chain', `G${i}`, [
            leaf(random, `reserve${i}`),
            leaf(random, `charge${i}`, i === 17 ? 'failing' : 'step'),
          ]),
        ),
        true,
      ),
  ],
  [
    'allSettled over chains of a step and a transaction',
    (random) =>
      group(
        'allSettled',
        'root',
        branches((i) =>
          group('chain', `G${i}`, [
            leaf(random, `reserve${i}`, i === 17 ? 'failing' : 'step'),
            leaf(random, `charge${i}`, i % 3 === 0 ? 'transaction' : 'step'),
          ]),
        ),
      ),
  ],
  [
    'any over chains, all but one of which fail',
    (random) =>
      group(
        'any',
        'root',
        branches((i) =>
          group('chain', `G${i}`, [
            leaf(random, `first${i}`),
            leaf(random, `last${i}`, i === 17 ? 'step' : 'failing'),
          ]),
        ),
      ),
  ],
  [
    'a race over chains, then all over what is left',
    (random) =>
      group('chain', 'root', [
        group(
          'race',
          'race',
          branches((i) => group('chain', `G${i}`, [leaf(random, `first${i}`), leaf(random, `last${i}`)])),
        ),
        group(
          'all',
          'rest',
          branches((i) => leaf(random, `rest${i}`)),
        ),
      ]),
  ],
];

test.each(shapes)(
  '%s, on a server',
  async (_, make) => {
    for (let seed = 1; seed <= 3; seed++) {
      const programs = [make(createRandom(seed))];
      const wrong = await runBatch(server(), { seed, programs, deaths: 0, diesAtResult: BRANCHES / 2 });
      expect(wrong, `seed ${seed}`).toEqual([]);
      await server().sql('DROP SCHEMA pawl CASCADE');
    }
  },
  60_000,
);

test.each(shapes)('%s, on PGlite', async (_, make) => {
  const programs = [make(createRandom(4))];
  const wrong = await runBatch(embedded(), { seed: 4, programs, deaths: 0, diesAtResult: BRANCHES / 2 });
  expect(wrong).toEqual([]);
  await embedded().sql('DROP SCHEMA pawl CASCADE');
});
