// A request's key and its workflow in one write, beside others who want the same key at the same moment.
import { expect, test } from 'vitest';
import { httpRequests } from '../../packages/core/src/store/http-requests.ts';
import type { Operation } from '../../packages/core/src/store/operations.ts';
import { checkpoint, type Side, starting, twoConnections } from './two-connections.ts';

const sides = twoConnections();
const { interleave, start, row } = sides;

let keys = 0;
const newKey = () => `key ${(keys += 1)}`;

/** As two processes would: each with an id and an owner of its own. */
function keyed(id: string, by: string): Operation {
  const claim = { id, fingerprint: 'f', owner: by, generation: 1 };
  return { ...starting(`${id} by ${by}`), claim };
}

const claimsAlone = (side: Side, id: string, by: string) =>
  httpRequests(side.on as never).claim([{ id, fingerprint: 'f', owner: by, leaseMs: null }]);

async function owners(id: string): Promise<unknown[]> {
  const { rows } = await sides.eye.on.query<{ owner: string }>(
    'SELECT owner FROM pawl.http_request WHERE id = $1',
    [id],
  );
  return rows.map(({ owner }) => owner);
}

test('two at once: the second waits for the first, and neither claims nor starts', async () => {
  const id = newKey();
  const [one, two] = await interleave(
    (side) => side.flush([keyed(id, 'one')]),
    (side) => side.flush([keyed(id, 'two')]),
  );
  expect([one.answers[0], two.answers[0]?.outcome]).toEqual([undefined, 'taken']);
  expect(await owners(id)).toEqual(['one']);
  expect([await row(`${id} by one`), await row(`${id} by two`)]).toMatchObject([
    { status: 'PENDING' },
    undefined,
  ]);
});

test('the first is rolled back: the second has both', async () => {
  const id = newKey();
  const [, two] = await interleave(
    (side) => side.flush([keyed(id, 'one')]),
    (side) => side.flush([keyed(id, 'two')]),
    'rollback',
  );
  expect(two.answers).toEqual([undefined]);
  expect(await owners(id)).toEqual(['two']);
  expect([await row(`${id} by one`), await row(`${id} by two`)]).toMatchObject([
    undefined,
    { status: 'PENDING' },
  ]);
});

test('beside a claim that is no start: whoever is first has the key, and a start that is second is none', async () => {
  const [early, late] = [newKey(), newKey()];
  const [, second] = await interleave(
    (side) => claimsAlone(side, early, 'claim'),
    (side) => side.flush([keyed(early, 'start')]),
  );
  expect([second.answers[0]?.outcome, await row(`${early} by start`)]).toEqual(['taken', undefined]);
  const [, claimed] = await interleave(
    (side) => side.flush([keyed(late, 'start')]),
    (side) => claimsAlone(side, late, 'claim'),
  );
  expect(claimed).toMatchObject([{ kind: 'running', generation: 1 }]);
  expect(await row(`${late} by start`)).toMatchObject({ status: 'PENDING' });
});

test('one that is taken leaves the rest of its flush alone; of two with one key the first has it', async () => {
  const [taken, twice, id] = [newKey(), newKey(), await start('beside')];
  await sides.a.flush([keyed(taken, 'earlier')]);
  const { answers } = await sides.a.flush([
    keyed(taken, 'late'),
    checkpoint(id, 0, '1'),
    keyed(twice, 'one'),
    keyed(twice, 'two'),
    starting('another'),
  ]);
  expect(answers.map((answer) => answer?.outcome)).toEqual([
    'taken',
    undefined,
    undefined,
    'taken',
    undefined,
  ]);
  expect(await sides.count('step', id)).toBe(1);
  expect([await owners(taken), await owners(twice)]).toEqual([['earlier'], ['one']]);
  expect(
    await Promise.all(['late', 'two'].map((by) => row(`${by === 'late' ? taken : twice} by ${by}`))),
  ).toEqual([undefined, undefined]);
  expect(await row('another')).toMatchObject({ status: 'PENDING' });
});

test('one whose answer was lost recognizes itself, also beside one that is taken', async () => {
  const [id, taken] = [newKey(), newKey()];
  await sides.a.flush([keyed(taken, 'earlier')]);
  const again = [keyed(id, 'one'), keyed(taken, 'late')];
  await sides.a.flush(again);
  const { answers } = await sides.b.flush(again, undefined, true);
  expect(answers.map((answer) => answer?.outcome)).toEqual([undefined, 'taken']);
  expect(await owners(id)).toEqual(['one']);
  expect(await sides.count('workflow', `${id} by one`)).toBe(1);
});
