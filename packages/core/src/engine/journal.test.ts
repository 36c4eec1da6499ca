// The journal's own rules, on lanes that are no database: how much is in flight, in which order, and what happens to
// an operation when its flush fails. `flush` is replaced, and each test answers the flushes by hand.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Lane } from '../store/database.ts';
import type { Answer, FlushResult, Operation } from '../store/operations.ts';
import { createEmitter } from '../telemetry/events.ts';
import { createJournal, type Journal, type JournalOperation } from './journal.ts';

interface Flight {
  lane: Lane;
  operations: readonly Named[];
  names: string[];
  careful: boolean;
  land(answers?: (Answer | undefined)[]): Promise<void>;
  crash(code: string): Promise<void>;
}
type Named = JournalOperation & { label: string };

const { flights, held } = vi.hoisted(() => ({ flights: [] as Flight[], held: new Set<string>() }));

vi.mock('../store/flush.ts', () => ({
  flush: (lane: Lane, _executor: number, batch: readonly Operation[], options: { careful?: boolean }) =>
    new Promise<FlushResult>((resolve, reject) => {
      const operations = [...batch] as unknown as Named[];
      flights.push({
        lane,
        operations,
        names: operations.map(({ label }) => label),
        careful: options.careful === true,
        land: (answers = []) => {
          resolve({ answers, fired: false, ready: false, hints: [] });
          return turn();
        },
        crash: (code) => {
          reject(Object.assign(new Error(code), { code }));
          return turn();
        },
      });
    }),
}));
vi.mock('../store/held-rows.ts', () => ({
  heldRows: (_lane: Lane, ids: readonly string[]) =>
    Promise.resolve(new Set(ids.filter((id) => held.has(id)))),
}));

/** Lets time pass, and then the journal do what it does at once: a turn takes a millisecond of fake time. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let i = 0; i < 3; i++) await vi.advanceTimersByTimeAsync(1);
}
const turn = () => pass(0);

let journal: Journal;
let log: string[];
let availability: boolean[];
let roundTripMs: number;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  flights.length = 0;
  held.clear();
  log = [];
  availability = [];
  roundTripMs = 1;
  const lane = (): Lane => ({ call: () => Promise.resolve([]), close: () => Promise.resolve() });
  journal = createJournal({
    lanes: [lane(), lane()],
    serial: false,
    roundTripMs: () => roundTripMs,
    executor: () => 1,
    events: createEmitter(),
    onAftermath: () => {},
    onAvailability: (available) => availability.push(available),
  });
});

afterEach(() => {
  journal.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const CONNECTION_LOST = '08006';
const LOCK_TIMEOUT = '55P03';
const REFUSED = '22P02';

/** Adds an operation; what comes of it goes to the log. */
function add(label: string, operation: Operation): void {
  const named: Named = {
    ...operation,
    label,
    settle: (answer) => log.push(`${label} ${answer?.outcome ?? 'written'}`),
    fail: () => log.push(`${label} failed`),
  };
  journal.add(named);
}

const of = (workflowID: string): Operation => ({
  fenced: { workflowID, fence: 1, stepID: 0, seq: 0, keep: true },
});
const to = (destination: string): Operation => ({
  message: { destination, id: 'm', topic: '', body: null, sender: null, park: false },
});

/** The flight that is the n-th to have taken off. */
function flight(n: number): Flight {
  const found = flights[n];
  if (found === undefined) throw new Error(`There were only ${flights.length} flights`);
  return found;
}

/** Lands them from the n-th on, and what takes off meanwhile. */
async function landFrom(n: number): Promise<string[]> {
  const names: string[] = [];
  for (; n < flights.length; n++) {
    names.push(...flight(n).names);
    await flight(n).land();
  }
  return names;
}

describe('flights', () => {
  test('an idle journal flushes at once what came in one turn, together', async () => {
    add('a', of('a'));
    add('b', of('b'));
    await turn();
    expect(flight(0).names).toEqual(['a', 'b']);
  });

  test('at most two at a time; what comes meanwhile goes together', async () => {
    for (const id of ['a', 'b', 'c', 'd']) {
      add(id, of(id));
      await turn();
    }
    expect(flights).toHaveLength(2);
    await flight(0).land();
    expect(flight(2).names).toEqual(['c', 'd']);
    expect(flight(2).lane).toBe(flight(0).lane);
  });

  test.each([
    [1, 500],
    [19, 500],
    [20, 1000],
    [50, 2500],
    [300, 2500],
  ])('%i ms away from the database at most %i operations each', async (ms, most) => {
    roundTripMs = ms;
    for (let i = 0; i < 2 * most + 200; i++) add(`${i}`, of(`${i}`));
    await turn();
    expect(flights.map((each) => each.names.length)).toEqual([most, most]);
    await flight(0).land();
    expect(flight(2).names).toHaveLength(200);
  });

  test('at most some megabytes each, but at least one operation', async () => {
    const big = (id: string): Operation => ({
      ...of(id),
      end: { status: 'SUCCESS', output: 'x'.repeat(5_000_000), error: null },
    });
    add('a', big('a'));
    add('b', big('b'));
    await turn();
    expect(flights.map((each) => each.names)).toEqual([['a'], ['b']]);
  });

  test('nobody is answered before the commit', async () => {
    add('a', of('a'));
    await turn();
    expect(log).toEqual([]);
    await flight(0).land([{ outcome: 'adopted', output: null, error: null, detail: null, at: null }]);
    expect(log).toEqual(['a adopted']);
  });
});

describe('order', () => {
  test('of one workflow: none flies while an earlier one flies; others pass', async () => {
    add('a1', of('a'));
    await turn();
    add('a2', of('a'));
    add('b', of('b'));
    await turn();
    expect(flight(1).names).toEqual(['b']);
    await flight(0).land();
    expect(flight(2).names).toEqual(['a2']);
  });

  test('of one destination, whoever sends', async () => {
    add('from a', { ...of('a'), ...to('d') });
    await turn();
    add('from b', { ...of('b'), ...to('d') });
    add('b2', of('b'));
    add('c', of('c'));
    await turn();
    // b2 is behind what b sends, and that behind what a sends.
    expect(flight(1).names).toEqual(['c']);
    await flight(0).land();
    expect(flight(2).names).toEqual(['from b', 'b2']);
  });

  test('several of one workflow fly together, in order', async () => {
    for (const label of ['a1', 'a2', 'a3']) add(label, of('a'));
    await turn();
    expect(flight(0).names).toEqual(['a1', 'a2', 'a3']);
    await flight(0).land();
    expect(log).toEqual(['a1 written', 'a2 written', 'a3 written']);
  });
});

describe('a refused operation', () => {
  test('is found by halves and fails alone; the others are written', async () => {
    const labels = ['a', 'b', 'bad', 'd', 'e'];
    for (const label of labels) add(label, of(label));
    await turn();
    for (let n = 0; n < flights.length; n++)
      await (flight(n).names.includes('bad') ? flight(n).crash(REFUSED) : flight(n).land());
    expect(log.toSorted()).toEqual(['a written', 'b written', 'bad failed', 'd written', 'e written']);
    await journal.drained();
  });
});

describe('a lost connection', () => {
  test('sends the same operations again, as careful ones', async () => {
    add('a', of('a'));
    add('b', of('b'));
    await turn();
    expect(flight(0).careful).toBe(false);
    await flight(0).crash(CONNECTION_LOST);
    await pass(10);
    expect(flight(1)).toMatchObject({ names: ['a', 'b'], careful: true });
    await flight(1).crash(CONNECTION_LOST);
    await pass(20);
    await flight(2).land();
    expect(log).toEqual(['a written', 'b written']);
    expect(availability).toEqual([false, false, true]);
  });

  test.each(['40001', '40P01', '57P01', '53300'])('so does %s', async (code) => {
    add('a', of('a'));
    await turn();
    await flight(0).crash(code);
    await pass(10);
    expect(flight(1)).toMatchObject({ names: ['a'], careful: true });
  });

  test('nothing of the same workflow overtakes it', async () => {
    add('a1', of('a'));
    await turn();
    await flight(0).crash(CONNECTION_LOST);
    add('a2', of('a'));
    await turn();
    expect(flights).toHaveLength(1);
    await pass(10);
    await flight(1).land();
    expect(flight(2).names).toEqual(['a2']);
  });
});

describe('a lock timeout', () => {
  test('sets aside what needs the held row; the rest goes on at once', async () => {
    for (const label of ['a', 'stuck', 'c']) add(label, of(label));
    await turn();
    held.add('stuck');
    await flight(0).crash(LOCK_TIMEOUT);
    expect(flight(1).names).toEqual(['a', 'c']);
    await flight(1).land();
    expect(log).toEqual(['a written', 'c written']);
    held.clear();
    await pass(250);
    expect(flight(2).names).toEqual(['stuck']);
    await flight(2).land();
    expect(log.at(-1)).toBe('stuck written');
  });

  test('of unknown cause is found by halves', async () => {
    for (const label of ['a', 'stuck']) add(label, of(label));
    await turn();
    await flight(0).crash(LOCK_TIMEOUT);
    expect(flight(1).names).toEqual(['a']);
    await flight(1).land();
    expect(flight(2).names).toEqual(['stuck']);
    await flight(2).crash(LOCK_TIMEOUT);
    await pass(250);
    expect(flight(3).names).toEqual(['stuck']);
  });

  test('keeps what shares a key behind it, in order, in the same flush and after it', async () => {
    add('stuck 1', of('stuck'));
    add('a', of('a'));
    add('stuck 2', { ...of('stuck'), ...to('d') });
    add('d', to('d'));
    await turn();
    held.add('stuck');
    await flight(0).crash(LOCK_TIMEOUT);
    add('stuck 3', of('stuck'));
    add('d 2', to('d'));
    add('b', of('b'));
    await turn();
    expect(flights.slice(1).map((each) => each.names)).toEqual([['a'], ['b']]);
    await flight(1).land();
    await flight(2).land();
    held.clear();
    await pass(250);
    expect(await landFrom(3)).toEqual(['stuck 1', 'stuck 2', 'd', 'stuck 3', 'd 2']);
  });

  test('again and again keeps the order too', async () => {
    add('stuck 1', of('stuck'));
    await turn();
    held.add('stuck');
    await flight(0).crash(LOCK_TIMEOUT);
    add('stuck 2', of('stuck'));
    await pass(600);
    expect(flights).toHaveLength(1);
    held.clear();
    await pass(250);
    expect(await landFrom(1)).toEqual(['stuck 1', 'stuck 2']);
    await journal.drained();
  });

  test('drained() waits for what is set aside', async () => {
    add('stuck', of('stuck'));
    await turn();
    held.add('stuck');
    await flight(0).crash(LOCK_TIMEOUT);
    let drained = false;
    void journal.drained().then(() => (drained = true));
    await turn();
    expect(drained).toBe(false);
    held.clear();
    await pass(250);
    expect(drained).toBe(false);
    await flight(1).land();
    expect(drained).toBe(true);
  });
});

test('an answer that nobody takes does not send the flush again', async () => {
  add('a', of('a'));
  await turn();
  (flight(0).operations[0] as Named).settle = () => {
    throw new Error('not mine');
  };
  add('b', of('b'));
  await flight(0).land();
  await turn();
  expect(flight(1).names).toEqual(['b']);
  await flight(1).land();
  await journal.drained();
  expect(flights).toHaveLength(2);
});
