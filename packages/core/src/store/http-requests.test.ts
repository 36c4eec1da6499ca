// The rules of an idempotency record, asked of PGlite and of a server.
import { createDatabase, createEmbedded } from '@pawl/test-support';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from './database.ts';
import {
  type HttpClaim,
  type HttpRecord,
  type HttpRequests,
  type HttpSettlement,
  httpRequests,
} from './http-requests.ts';
import { migrate } from './migrate.ts';
import { openPgDatabase } from './pg-database.ts';
import { openPGliteDatabase } from './pglite-database.ts';

async function onServer(): Promise<{ database: Database; end: () => Promise<void> }> {
  const { url, drop } = await createDatabase();
  const database = openPgDatabase({
    connection: url,
    schema: 'odd "name"',
    poolSize: 8,
    applicationName: 'test',
  });
  return { database, end: async () => (await database.close(), drop()) };
}

async function embedded(): Promise<{ database: Database; end: () => Promise<void> }> {
  const pglite = await createEmbedded();
  const database = openPGliteDatabase({ connection: pglite, schema: 'odd "name"' });
  return { database, end: async () => (await database.close(), pglite.close()) };
}

describe.each([
  ['Postgres', onServer],
  ['PGlite', embedded],
])('idempotency records on %s', (name, open) => {
  let database: Database;
  let end: () => Promise<void>;
  let requests: HttpRequests;
  let owners = 0;

  beforeAll(async () => {
    ({ database, end } = await open());
    await database.open();
    await migrate(database);
    await database.query('CREATE TABLE pawl.test_clock (ms float8 NOT NULL)');
    await database.query('INSERT INTO pawl.test_clock VALUES (0)');
    await database.query(`CREATE OR REPLACE FUNCTION pawl.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS
      'SELECT clock_timestamp() + (SELECT ms FROM pawl.test_clock) * interval ''1 millisecond''' `);
    requests = httpRequests(database);
  });
  afterAll(() => end());

  const pass = (ms: number) => database.query('UPDATE pawl.test_clock SET ms = ms + $1', [ms]);
  const claimOf = (id: string, changes: Partial<HttpClaim> = {}): HttpClaim => ({
    id,
    fingerprint: 'f',
    owner: `owner-${(owners += 1)}`,
    leaseMs: 10_000,
    ...changes,
  });
  const generations = new Map<string, number>();
  const claim = async (given: HttpClaim) => {
    const [outcome] = await requests.claim([given]);
    generations.set(given.owner, outcome?.generation ?? 0);
    return outcome;
  };
  const settle = async (given: HttpClaim, attempt: number, changes: Partial<HttpSettlement> = {}) => {
    const { id, owner } = given;
    const answer = { status: 201, headers: '[["A","b"]]', body: Buffer.from('héllo') };
    return (
      await requests.settle([
        {
          id,
          owner,
          generation: generations.get(owner) ?? 0,
          attempt,
          state: 'done',
          retentionMs: 60_000,
          ...answer,
          ...changes,
        },
      ])
    )[0];
  };
  const bodyOf = (outcome: unknown) =>
    Buffer.from((outcome as { record: { body: Uint8Array } }).record.body).toString();

  test('a key is new once; its answer stays as it was given', async () => {
    const first = claimOf('a');
    expect(await claim(first)).toMatchObject({ kind: 'new', attempt: 1 });
    expect(await claim(claimOf('a'))).toMatchObject({ kind: 'running', attempt: 1 });
    expect(await settle(first, 1)).toEqual({ kind: 'stored' });
    const done = await claim(claimOf('a'));
    expect(done).toMatchObject({ kind: 'done', record: { status: 201, headers: '[["A","b"]]' } });
    expect(bodyOf(done)).toBe('héllo');
  });

  test('a claim or an answer whose reply was lost may be sent again', async () => {
    const given = claimOf('b');
    await claim(given);
    expect(await claim(given)).toMatchObject({ kind: 'new', attempt: 1 });
    await settle(given, 1);
    expect(await settle(given, 1)).toEqual({ kind: 'stored' });
  });

  test('another fingerprint is a mismatch: in flight, done and failed', async () => {
    const given = claimOf('c');
    await claim(given);
    const other = () => claim(claimOf('c', { fingerprint: 'g' }));
    expect(await other()).toMatchObject({ kind: 'mismatch' });
    await settle(given, 1, { state: 'failed', status: null, headers: null, body: null });
    expect(await other()).toMatchObject({ kind: 'mismatch' });
    const again = claimOf('c');
    expect(await claim(again)).toMatchObject({ kind: 'retry', attempt: 2 });
    await settle(again, 2);
    expect(await other()).toMatchObject({ kind: 'mismatch' });
  });

  test('after its lease a key is taken over, in the same life; the late answer is refused', async () => {
    const first = claimOf('d');
    const { generation } = (await claim(first)) ?? {};
    await pass(9_000);
    expect(await requests.renew([{ id: 'd', owner: first.owner, leaseMs: 10_000 }])).toEqual([]);
    await pass(9_000);
    expect(await claim(claimOf('d'))).toMatchObject({ kind: 'running' });
    await pass(2_000);
    const second = claimOf('d');
    expect(await claim(second)).toMatchObject({ kind: 'takeover', attempt: 2, generation });
    expect(await requests.renew([{ id: 'd', owner: first.owner, leaseMs: 10_000 }])).toEqual(['d']);
    expect(await settle(first, 1)).toEqual({ kind: 'superseded' });
    expect(await settle(second, 2, { body: Buffer.from('second') })).toEqual({ kind: 'stored' });
    expect(await settle(first, 1)).toEqual({ kind: 'superseded' });
    expect(bodyOf(await claim(claimOf('d')))).toBe('second');
  });

  test('without a lease nobody takes over, anybody may answer, and the first answer stands', async () => {
    const [first, second] = [claimOf('e', { leaseMs: null }), claimOf('e', { leaseMs: null })];
    expect(await claim(first)).toMatchObject({ kind: 'new' });
    await pass(1_000_000);
    expect(await claim(second)).toMatchObject({ kind: 'running' });
    expect(await settle(second, 1, { body: Buffer.from('one') })).toEqual({ kind: 'stored' });
    const late = await settle(first, 1, { body: Buffer.from('two') });
    expect(late).toMatchObject({ kind: 'done' });
    expect(bodyOf(late)).toBe('one');
  });

  test('a forgotten key is as new, for any request', async () => {
    const first = claimOf('g');
    await claim(first);
    await settle(first, 1, { state: 'forgotten' });
    expect(await claim(claimOf('g', { fingerprint: 'other' }))).toMatchObject({ kind: 'new', attempt: 1 });
  });

  test('after its retention a key is new, in another life, swept or not', async () => {
    const lives: (number | undefined)[] = [];
    for (const swept of [false, true]) {
      const given = claimOf('h', { fingerprint: `swept-${swept}` });
      const outcome = await claim(given);
      expect(outcome).toMatchObject({ kind: 'new', attempt: 1 });
      lives.push(outcome?.generation);
      await settle(given, 1);
      await pass(60_000);
      if (swept) expect(await requests.sweep(100)).toBeGreaterThan(0);
    }
    lives.push((await claim(claimOf('h')))?.generation);
    expect(new Set(lives).size).toBe(3);
  });

  test('an answer from an earlier life of the key is not taken for one of this life', async () => {
    const [slow, quick, next] = [1, 2, 3].map(() => claimOf('life', { leaseMs: null })) as [
      HttpClaim,
      HttpClaim,
      HttpClaim,
    ];
    await claim(slow);
    await claim(quick);
    await settle(quick, 1);
    await pass(60_000);
    expect(await claim(next)).toMatchObject({ kind: 'new', attempt: 1 });
    expect(await settle(slow, 1, { body: Buffer.from('of the earlier life') })).toEqual({
      kind: 'superseded',
    });
    expect(await settle(next, 1, { body: Buffer.from('of this life') })).toEqual({ kind: 'stored' });
    expect(await settle(slow, 1)).toEqual({ kind: 'superseded' });
    expect(bodyOf(await claim(claimOf('life', { leaseMs: null })))).toBe('of this life');
  });

  test('what runs is never swept; what ran, and nobody asked for in a month, is', async () => {
    const month = 30 * 24 * 60 * 60_000;
    await claim(claimOf('i', { leaseMs: 10 }));
    await pass(month - 1_000);
    await requests.sweep(1000, month);
    expect(await claim(claimOf('i'))).toMatchObject({ kind: 'takeover' });
    const lease = { id: 'i', owner: claimOf('i').owner, leaseMs: 10 };
    await pass(month);
    await requests.renew([lease]);
    await requests.sweep(1000, month);
    expect(await claim(claimOf('i'))).not.toMatchObject({ kind: 'new' });
    await pass(month + 1e6);
    expect(await requests.sweep(1000)).toBe(0);
    await requests.sweep(1000, month);
    expect(await claim(claimOf('i'))).toMatchObject({ kind: 'new' });
  });

  test('batches answer in the order of the questions, bodies included', async () => {
    const claims = ['z', 'x', 'y'].map((id) => claimOf(id));
    const outcomes = await requests.claim(claims);
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(['new', 'new', 'new']);
    const settlements = claims.map(({ id, owner }, index) => ({
      id,
      owner,
      generation: outcomes[index]?.generation ?? 0,
      attempt: 1,
      state: 'done' as const,
      retentionMs: 60_000,
      status: 200 + index,
      headers: '[]',
      body: index === 1 ? null : Buffer.from(`body of ${id}`),
    }));
    await requests.settle(settlements);
    const done = await requests.claim(['y', 'z', 'x'].map((id) => claimOf(id)));
    expect(done).toMatchObject([
      { record: { status: 202 } },
      { record: { status: 200 } },
      { record: { status: 201, body: null } },
    ]);
    expect(bodyOf(done[0])).toBe('body of y');
    expect(bodyOf(done[1])).toBe('body of z');
  });

  test('in one batch each key has its own outcome', async () => {
    const settled = (given: HttpClaim, changes: Partial<HttpSettlement> = {}): HttpSettlement => ({
      ...{ id: given.id, owner: given.owner, generation: generations.get(given.owner) ?? 0, attempt: 1 },
      ...{ state: 'done', retentionMs: 60_000, status: 200, headers: '[]' },
      body: Buffer.from(`body of ${given.id}`),
      ...changes,
    });
    const older = ['done', 'failed', 'expired', 'other', 'runs'].map((id) => claimOf(`mix-${id}`));
    for (const given of older) await claim(given);
    const [done, failed, expired, other] = older as [HttpClaim, HttpClaim, HttpClaim, HttpClaim];
    await requests.settle([settled(expired)]);
    await pass(60_000);
    const nothing = { status: null, headers: null, body: null };
    await requests.settle([settled(done), settled(failed, { state: 'failed', ...nothing }), settled(other)]);

    const claims = [
      ...['new', 'done', 'failed', 'expired'].map((id) => claimOf(`mix-${id}`)),
      claimOf('mix-other', { fingerprint: 'g' }),
      ...['runs', 'twice', 'twice', 'next'].map((id) => claimOf(`mix-${id}`)),
    ];
    const outcomes = await requests.claim(claims);
    const kinds = outcomes.map(({ kind }) => kind);
    expect(kinds).toEqual([
      ...['new', 'done', 'retry', 'new', 'mismatch', 'takeover'],
      ...['new', 'running', 'new'],
    ]);
    expect(bodyOf(outcomes[1])).toBe('body of mix-done');
    // Sent again, since their answer was lost: the same but for what was taken over.
    expect((await requests.claim(claims)).map(({ kind }) => kind)).toEqual(
      kinds.map((kind) => (kind === 'retry' || kind === 'takeover' ? 'new' : kind)),
    );
    claims.forEach(({ owner }, index) => generations.set(owner, outcomes[index]?.generation ?? 0));

    const [fresh, , retry, again, , taken, twice, joined, next] = claims;
    // Of a workflow, and answered by a request that has joined: not by the one statement.
    await claim(claimOf('mix-without', { leaseMs: null }));
    const guest = claimOf('mix-without', { leaseMs: null });
    await claim(guest);
    const settlements = [
      settled(fresh as HttpClaim),
      settled(retry as HttpClaim, { attempt: 2, body: null }),
      settled(again as HttpClaim, { body: Buffer.alloc(0) }),
      settled(taken as HttpClaim),
      settled(joined as HttpClaim),
      settled(twice as HttpClaim),
      settled(next as HttpClaim, { state: 'forgotten', ...nothing }),
      settled(claimOf('mix-never')),
      settled(claimOf('mix-without', { owner: guest.owner })),
    ];
    const answers = [
      'stored',
      'stored',
      'stored',
      'superseded',
      'superseded',
      'stored',
      'stored',
      'missing',
      'stored',
    ];
    expect((await requests.settle(settlements)).map(({ kind }) => kind)).toEqual(answers);
    const after = await requests.claim(
      ['new', 'failed', 'expired', 'twice', 'without', 'next'].map((id) => claimOf(`mix-${id}`)),
    );
    expect(after.map(({ kind }) => kind)).toEqual(['done', 'done', 'done', 'done', 'done', 'new']);
    const bodies = after.slice(0, 5).map((outcome) => (outcome as { record: HttpRecord }).record.body);
    expect(bodies.map((body) => body && Buffer.from(body).toString())).toEqual([
      'body of mix-new',
      null,
      '',
      'body of mix-twice',
      'body of mix-without',
    ]);
  });

  test('requests of two processes that have joined each other are answered without a deadlock', async () => {
    const count = name === 'PGlite' ? 5 : 200;
    for (let i = 0; i < count; i++) {
      const ids = [1, 2, 3, 4].map((n) => `cross-${i}-${n}`);
      // One process began the odd ones, and the other the even ones; each has joined the rest.
      const [odd, even] = [0, 1].map(() => ids.map((id) => claimOf(id, { leaseMs: null }))) as [
        HttpClaim[],
        HttpClaim[],
      ];
      const isOdd = (_: unknown, n: number) => n % 2 === 0;
      const isEven = (_: unknown, n: number) => n % 2 === 1;
      const begun = await requests.claim([...odd.filter(isOdd), ...even.filter(isEven)]);
      await requests.claim([...odd.filter(isEven), ...even.filter(isOdd)]);
      const generation = begun[0]?.generation ?? 0;
      const settle = (claims: HttpClaim[], body: string) =>
        requests.settle(
          claims.map(({ id, owner }) => ({
            ...{ id, owner, generation, attempt: 1, state: 'done', retentionMs: 60_000 },
            ...{
              status: 200,
              headers: '[]',
              body: Buffer.from(`${body.repeat(Number(id.at(-1)))} of ${id}`),
            },
          })),
        );
      const [one, two] = await Promise.all([settle(odd, 'odd'), settle(even, 'even')]);
      const kinds = [one, two].map((outcomes) => outcomes.map(({ kind }) => kind).join());
      expect(kinds.toSorted()).toEqual(['done,done,done,done', 'stored,stored,stored,stored']);
      const first = kinds[0] === 'stored,stored,stored,stored' ? 'odd' : 'even';
      const bodies = (await requests.claim(ids.map((id) => claimOf(id)))).map(bodyOf);
      expect(bodies).toEqual(ids.map((id, n) => `${first.repeat(n + 1)} of ${id}`));
    }
  });

  test('of many claims at once each key is new for one', async () => {
    const rounds = Array.from({ length: name === 'PGlite' ? 5 : 40 }, (_, round) =>
      requests.claim(['p', 'q', 'r'].map((_id, index) => claimOf(`many-${(round + index) % 3}`))),
    );
    const outcomes = (await Promise.all(rounds)).flat();
    expect(outcomes.filter((outcome) => outcome.kind === 'new').length).toBe(3);
  });
});
