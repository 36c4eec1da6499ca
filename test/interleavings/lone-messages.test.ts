// A message that is alone in its flush: written without the arrays of the general one, and told by its own commit.
import type pg from 'pg';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FlushResult, Operation } from '../../packages/core/src/store/operations.ts';
import { schemaClass } from '../../packages/core/src/store/schema-name.ts';
import {
  OWNER,
  parking,
  PEER,
  sending,
  type Side,
  starting,
  twoConnections,
  waiting,
} from './two-connections.ts';

const sides = twoConnections();
const { interleave, start, row, count } = sides;

let listener: pg.Client;
let heard: string[] = [];

beforeAll(async () => {
  listener = await sides.connect();
  listener.on('notification', ({ payload }) => heard.push(payload as string));
  await listener.query(`LISTEN "pawl:${schemaClass('pawl')}:${OWNER}"`);
});
beforeEach(() => {
  heard = [];
});

/** What the owner's process was told until now: it comes before an answer. */
async function told(): Promise<string[]> {
  await listener.query('SELECT 1');
  return heard.splice(0);
}

const lone = (side: Side, message: Operation, executor = PEER, careful = false): Promise<FlushResult> =>
  side.flush([message], executor, careful);

describe('a lone message for what another process runs', () => {
  test('is told to that process by the commit, and not before', async () => {
    const id = await start('w');
    await sides.a.begin();
    const { answers, hints } = await lone(sides.a, sending(id, 'm'));
    expect([answers, hints]).toEqual([[undefined], []]);
    expect(await told()).toEqual([]);
    await sides.a.commit();
    expect(await told()).toEqual([`w${id}`]);
    expect(await count('message', id)).toBe(1);
  });

  test('that is rolled back is told to nobody', async () => {
    const id = await start('w');
    await sides.a.begin();
    await lone(sides.a, sending(id, 'm'));
    await sides.a.rollback();
    expect(await told()).toEqual([]);
    expect(await count('message', id)).toBe(0);
  });

  test('while another is on its way: commits without waiting for it, and its sender is to tell', async () => {
    const [one, two] = [await start('one'), await start('two')];
    await sides.a.begin();
    await lone(sides.a, sending(one, 'm'));
    expect((await lone(sides.b, sending(two, 'm'))).hints).toEqual([{ workflowID: two, executor: OWNER }]);
    expect(await count('message', two)).toBe(1);
    expect(await told()).toEqual([]);
    await sides.a.commit();
    expect(await told()).toEqual(['wone']);
  });

  test('from its own process is told to nobody', async () => {
    const id = await start('w');
    expect((await lone(sides.a, sending(id, 'm'), OWNER)).hints).toEqual([]);
    expect(await told()).toEqual([]);
  });
});

describe('a lone message that is sent again', () => {
  test.each([false, true])(
    'because its answer was lost is one message (as a repetition: %s)',
    async (careful) => {
      const id = await start('w');
      await lone(sides.a, sending(id, 'm'));
      await lone(sides.b, sending(id, 'm'), PEER, careful);
      expect(await count('message', id)).toBe(1);
      // It may be that the first was told to nobody.
      expect(new Set(await told())).toEqual(new Set([`w${id}`]));
    },
  );

  test('by a second process at the same moment is one message', async () => {
    const id = await start('w');
    await interleave(
      (side) => lone(side, sending(id, 'm')),
      (side) => lone(side, sending(id, 'm'), PEER + 1),
    );
    expect(await count('message', id)).toBe(1);
  });

  test('after it was received stays received', async () => {
    const id = await start('w');
    await lone(sides.a, sending(id, 'm'));
    await sides.eye.flush([waiting(id, 0, 'recv', 'topic')]);
    await lone(sides.b, sending(id, 'm'));
    const { answers } = await sides.eye.flush([waiting(id, 1, 'recv', 'topic')]);
    expect(answers[0]?.outcome).toBe('wait');
  });
});

describe('a lone message and who moves its workflow at that moment', () => {
  test('a park: what is parked when its turn comes is made due', async () => {
    const id = await start('w');
    await sides.eye.flush([waiting(id, 0, 'recv', 'topic')]);
    const [, sent] = await interleave(
      (side) => side.flush([parking(id)]),
      (side) => lone(side, sending(id, 'm')),
    );
    expect(sent).toMatchObject({ answers: [undefined], ready: true, hints: [] });
    expect(await row(id)).toMatchObject({ owner: null, due: true });
  });

  test('a start: an id that nobody had when it came, and has now, gets it', async () => {
    const [, sent] = await interleave(
      (side) => side.flush([starting('w')]),
      (side) => lone(side, sending('w', 'm', 'topic', true)),
    );
    expect(sent.answers).toEqual([undefined]);
    expect(await count('message', 'w')).toBe(1);
  });
});

describe('a lone wait', () => {
  test('that comes again after its answer was lost has what it had', async () => {
    const id = await start('w');
    await lone(sides.a, sending(id, 'one'));
    await lone(sides.a, sending(id, 'two'));
    const looks = [waiting(id, 0, 'recv', 'topic')];
    const first = await sides.a.flush(looks);
    for (const careful of [false, true]) {
      const again = await sides.b.flush(looks, OWNER, careful);
      expect(again.answers[0]).toMatchObject({ outcome: 'value', output: first.answers[0]?.output });
    }
    expect(await count('step', id)).toBe(1);
  });

  test('keeps its first deadline, and is over when that has passed', async () => {
    const id = await start('w');
    const look = (timeoutMs: number): Operation => {
      const operation = waiting(id, 0, 'recv', 'topic');
      return { ...operation, wait: { ...(operation.wait as NonNullable<Operation['wait']>), timeoutMs } };
    };
    const [first] = (await sides.a.flush([look(60_000)])).answers;
    expect(first).toMatchObject({ outcome: 'wait' });
    const [second] = (await sides.a.flush([look(1)])).answers;
    expect(second).toEqual(first);
    await sides.eye.on.query(`UPDATE pawl.step SET deadline = pawl.clock() WHERE workflow_id = $1`, [id]);
    expect((await sides.a.flush([look(60_000)])).answers[0]).toMatchObject({
      outcome: 'value',
      output: null,
      detail: 'timeout',
    });
  });

  test('under an old fence takes nothing', async () => {
    const id = await start('w');
    await lone(sides.a, sending(id, 'm'));
    const look = waiting(id, 0, 'recv', 'topic');
    Object.assign(look.fenced as object, { fence: 99 });
    expect((await sides.a.flush([look])).answers[0]).toMatchObject({ outcome: 'superseded' });
    expect((await sides.a.flush([waiting(id, 0, 'recv', 'topic')])).answers[0]).toMatchObject({
      output: 'm',
    });
  });
});
