// Random pairs of principals over all workflow routes: nothing of one is visible to another, or changed by another.
// PAWL_PAIRS=2000 for more of them; PAWL_SEED repeats a run.
import { beforeAll, describe, expect, test } from 'vitest';
import { appUnderTest } from './app-under-test.ts';
import { frameworks } from './frameworks.ts';
import { type Answer, ask, openStream, portOf, type Stream } from './plain-client.ts';
import { becomes, registerTelling, type Telling } from './telling.ts';

const PAIRS = Number(process.env['PAWL_PAIRS'] ?? 30);
const SEED = Number(process.env['PAWL_SEED'] ?? Date.now() % 1_000_000);

interface Principal {
  readonly user: string;
  readonly id: string;
  /** In its id, its messages, its events: to be found nowhere else. */
  readonly secret: string;
  readonly ended: boolean;
  readonly stream: Stream;
}

describe.each(frameworks)('between principals on $name', (framework) => {
  const app = appUnderTest(framework);
  let tell: Telling;
  beforeAll(() => {
    tell = registerTelling(app);
  });

  const random = mulberry(SEED);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const routes = ['', '/result', '/result?wait=1', '/events', '/events/progress', '/events/progress?wait=1']
    .concat(['/steps', '/events?lastEventId=1'])
    .map((path) => ['GET', path] as const);
  const changes = ['/messages/word', '/cancel', '/resume'].map((path) => ['POST', path] as const);

  function send(as: Principal, to: Principal, [method, path]: readonly [string, string]): Promise<Answer> {
    const headers = {
      ...{ 'X-User': as.user, 'Content-Type': 'application/json' },
      ...(random() < 0.5 ? { 'Last-Event-ID': '1', 'If-None-Match': '*' } : {}),
      // The same key for all of them.
      ...(random() < 0.5 ? { 'Idempotency-Key': 'key' } : {}),
    };
    const asking = method === 'GET' ? { headers } : { method, headers, body: JSON.stringify(as.secret) };
    return ask(portOf(app.server), `/workflows/${encodeURIComponent(to.id)}${path}`, asking);
  }

  test(`nothing is seen or changed by another (seed ${SEED})`, async () => {
    app.serve((on) =>
      on.workflows('/workflows', {
        ...{ messages: true, cancel: true, resume: true },
        authorize: ({ headers }, workflow) => workflow.authenticatedUser === headers['x-user'],
      }),
    );
    const principals: Principal[] = [];
    for (let n = 0; n < 5; n += 1) {
      const [user, secret] = [`user${n}`, `secret-${n}-${app.framework.name}`];
      // One id is the beginning of the next.
      const id = `${'o'.repeat(n + 1)} ${secret}`;
      await tell.start({ id, user });
      const ended = n >= 3;
      if (ended) await tell.finish(id, secret);
      const path = `/workflows/${encodeURIComponent(id)}/events`;
      const stream = await openStream(portOf(app.server), path, { 'X-User': user });
      principals.push({ user, id, secret, ended, stream });
    }
    const secretsOfOthers = (me: Principal): RegExp =>
      new RegExp(principals.flatMap(({ secret }) => (secret === me.secret ? [] : [secret])).join('|'));

    for (let pair = 0; pair < PAIRS; pair += 1) {
      const [me, other] = [pick(principals), pick(principals)];
      if (me === other) {
        const mine = await send(
          me,
          me,
          pick(routes.filter(([, path]) => me.ended || !path.includes('/events'))),
        );
        expect(mine.status).toBeLessThan(400);
        expect(mine.text + JSON.stringify(mine.headers)).not.toMatch(secretsOfOthers(me));
        continue;
      }
      const [method, path] = pick([...routes, ...changes]);
      const refused = await send(me, other, [method, path]);
      expect([method, path, refused.status]).toEqual([method, path, 404]);
      // But for what they asked for.
      const asked = `/workflows/${encodeURIComponent(other.id)}${path.replace(/\?.*/, '')}`;
      const rest = refused.text.replace(JSON.stringify(asked), '""') + JSON.stringify(refused.headers);
      expect(rest).not.toMatch(/secret/);
    }

    for (const me of principals) {
      const now = await app.pawl.getWorkflowStatus(me.id);
      expect(now?.status).toBe(me.ended ? 'SUCCESS' : 'PENDING');
      expect((await app.pawl.listMessages(me.id)).length).toBe(me.ended ? 1 : 0);
      if (!me.ended) expect((await send(me, me, ['POST', '/messages/word'])).status).toBe(202);
      await becomes(async () => (await app.pawl.getWorkflowStatus(me.id))?.status === 'SUCCESS');
      await me.stream.ended;
      expect(me.stream.events().map(({ data }) => data)).toEqual([
        ...[{ step: 1 }, { step: 2 }, { status: 'SUCCESS' }],
      ]);
      const result = await send(me, me, ['GET', '/result']);
      expect([result.status, result.text]).toEqual([200, JSON.stringify(`heard ${me.secret}`)]);
    }
  });
});

/** A small generator with a seed. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
