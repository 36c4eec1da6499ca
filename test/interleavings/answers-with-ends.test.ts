// The end of a workflow and the answer to its request in one write: beside others who record, reruns, and ends that are refused.
import { expect, test } from 'vitest';
import {
  type HttpClaimOutcome,
  type HttpSettlement,
  httpRequests,
} from '../../packages/core/src/store/http-requests.ts';
import type { Operation } from '../../packages/core/src/store/operations.ts';
import { ending, type Side, twoConnections } from './two-connections.ts';

const sides = twoConnections();
const { interleave, start, row } = sides;

let keys = 0;
const newKey = () => `key ${(keys += 1)}`;
const requests = (side: Side) => httpRequests(side.on as never);

interface Asked {
  id: string;
  workflow: string;
  generation: number;
}

/** A request that has claimed its key and started its workflow. */
async function asked(): Promise<Asked> {
  const id = newKey();
  const [claimed] = await requests(sides.eye).claim([{ id, fingerprint: 'f', owner: 'mine', leaseMs: null }]);
  const { generation } = claimed as HttpClaimOutcome;
  return { id, workflow: await start(`w of ${id}`), generation };
}

const ended = ({ id, workflow, generation }: Asked, text = 'early', fence = 1): Operation => ({
  ...ending(workflow, '1', fence),
  answer: {
    ...{ id, owner: 'mine', generation, attempt: 1, retentionMs: 60_000, status: 201, headers: '[]' },
    body: Buffer.from(text).toString('hex'),
  },
});

/** The same, as a request records it that has waited for the end. */
function settlement({ id, generation }: Asked, by: string, text: string): HttpSettlement {
  return {
    ...{
      id,
      owner: by,
      generation,
      attempt: 1,
      retentionMs: 60_000,
      state: 'done',
      status: 201,
      headers: '[]',
    },
    body: Buffer.from(text),
  };
}

async function record(id: string): Promise<unknown> {
  const { rows } = await sides.eye.on.query<{ state: string; body: Uint8Array | null }>(
    'SELECT state, body FROM pawl.http_request WHERE id = $1',
    [id],
  );
  const [found] = rows;
  return found && `${found.state} ${Buffer.from(found.body ?? []).toString()}`.trim();
}

test('both are there, at the same moment; or neither is', async () => {
  const [kept, undone] = [await asked(), await asked()];
  expect((await sides.a.flush([ended(kept)])).answers).toEqual([undefined]);
  expect([await record(kept.id), await row(kept.workflow)]).toMatchObject([
    'done early',
    { status: 'SUCCESS' },
  ]);
  const { rows } = await sides.eye.on.query<{ same: boolean; kept: string }>(
    `SELECT w.completed_at = r.completed_at AS same, (r.expires_at - r.completed_at)::text AS kept
     FROM pawl.workflow w, pawl.http_request r WHERE w.id = $1 AND r.id = $2`,
    [kept.workflow, kept.id],
  );
  expect(rows).toEqual([{ same: true, kept: '00:01:00' }]);

  await sides.a.begin();
  await sides.a.flush([ended(undone)]);
  await sides.a.rollback();
  expect([await record(undone.id), await row(undone.workflow)]).toMatchObject([
    'running',
    { status: 'PENDING' },
  ]);
});

test('the answer of the flush was lost: the rerun finds both, and the request is told so', async () => {
  const one = await asked();
  await sides.a.flush([ended(one)]);
  const { answers } = await sides.b.flush([ended(one)], undefined, true);
  expect(answers[0]?.outcome).toBe('unrecorded');
  expect(await requests(sides.b).settle([settlement(one, 'mine', 'late')])).toEqual([{ kind: 'stored' }]);
  expect(await record(one.id)).toBe('done early');
});

test('somebody else has recorded an answer: that one stands', async () => {
  const one = await asked();
  await requests(sides.a).settle([settlement(one, 'another', 'theirs')]);
  expect((await sides.a.flush([ended(one)])).answers[0]?.outcome).toBe('unrecorded');
  expect([await record(one.id), await row(one.workflow)]).toMatchObject([
    'done theirs',
    { status: 'SUCCESS' },
  ]);
});

test('somebody is about to: whoever is second waits, and finds the answer of the first', async () => {
  const [one, other] = [await asked(), await asked()];
  const [, second] = await interleave(
    (side) => requests(side).settle([settlement(one, 'another', 'theirs')]),
    (side) => side.flush([ended(one)]),
  );
  expect([second.answers[0]?.outcome, await record(one.id)]).toEqual(['unrecorded', 'done theirs']);
  const [, settled] = await interleave(
    (side) => side.flush([ended(other)]),
    (side) => requests(side).settle([settlement(other, 'another', 'theirs')]),
  );
  expect(settled).toMatchObject([{ kind: 'done', record: { status: 201 } }]);
  expect(await record(other.id)).toBe('done early');
});

test('an end that is refused records nothing; one beside it is written, and its request records by itself', async () => {
  const [refused, beside] = [await asked(), await asked()];
  const { answers } = await sides.a.flush([ended(refused, 'early', 7), ended(beside)]);
  expect(answers.map((answer) => answer?.outcome)).toEqual(['superseded', 'unrecorded']);
  expect([await record(refused.id), await row(refused.workflow)]).toMatchObject([
    'running',
    { status: 'PENDING' },
  ]);
  expect([await record(beside.id), await row(beside.workflow)]).toMatchObject([
    'running',
    { status: 'SUCCESS' },
  ]);
});

test('many ends, some with answers, in any order, beside one who records the same in another', async () => {
  const [one, two, plain] = [await asked(), await asked(), await start('plain')];
  const [first, settled] = await interleave(
    (side) => side.flush([ended(two, 'two'), ending(plain, '1', 1), ended(one, 'one')]),
    (side) => requests(side).settle([settlement(one, 'another', 'x'), settlement(two, 'another', 'y')]),
  );
  expect(first.answers).toEqual([undefined, undefined, undefined]);
  expect(settled.map(({ kind }) => kind)).toEqual(['done', 'done']);
  expect([await record(one.id), await record(two.id)]).toEqual(['done one', 'done two']);
});
