// What the callers of requests are told when the database is away, on lanes that are no database: each test answers the
// flushes by hand.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Lane, NotSentError } from '../store/database.ts';
import type { FlushResult, Operation } from '../store/operations.ts';
import { createEmitter } from '../telemetry/events.ts';
import { createJournal, type Journal, type JournalOperation } from './journal.ts';

type Named = JournalOperation & { label: string };
interface Flight {
  names: string[];
  land(): Promise<void>;
  crash(code: string, severity?: string): Promise<void>;
  /** There was no connection for it. */
  stay(): Promise<void>;
  /** Whether it would be sent if it had a connection only now. */
  wanted(): boolean;
}

const { flights, held } = vi.hoisted(() => ({
  flights: [] as Flight[],
  held: { rows: () => Promise.resolve(new Set<string>()) },
}));
vi.mock('../store/held-rows.ts', () => ({ heldRows: () => held.rows() }));
vi.mock('../store/flush.ts', () => ({
  flush: (
    _lane: Lane,
    _executor: number,
    batch: readonly Operation[],
    { wanted }: { wanted: () => boolean },
  ) =>
    new Promise<FlushResult>((resolve, reject) => {
      const fail = (error: Error) => {
        reject(error);
        return turn();
      };
      flights.push({
        names: (batch as Named[]).map(({ label }) => label),
        land: () => {
          resolve({ answers: [], fired: false, ready: false, hints: [] });
          return turn();
        },
        crash: (code, severity) => fail(Object.assign(new Error(code), { code, severity })),
        stay: () => fail(new NotSentError('There is no connection')),
        wanted,
      });
    }),
}));

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let i = 0; i < 3; i++) await vi.advanceTimersByTimeAsync(1);
}
const turn = () => pass(0);

let journal: Journal;
let log: string[];
let availability: boolean[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  flights.length = 0;
  held.rows = () => Promise.resolve(new Set());
  log = [];
  availability = [];
  const lane = (): Lane => ({ call: () => Promise.resolve([]), close: () => Promise.resolve() });
  journal = createJournal({
    lanes: [lane(), lane()],
    serial: false,
    roundTripMs: () => 1,
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
const DISK_FULL = '53100';

/** Adds an operation; what comes of it goes to the log. */
function add(label: string, { request, ...operation }: Operation & { request?: boolean }): void {
  const named: Named = {
    ...operation,
    label,
    settle: () => log.push(`${label} written`),
    fail: () => log.push(`${label} failed`),
  };
  if (request === true) named.giveUp = (error) => log.push(`${label} told ${error.name}`);
  journal.add(named);
}

const of = (workflowID: string): Operation => ({
  fenced: { workflowID, fence: 1, stepID: 0, seq: 0, keep: true },
});
const START = { nonce: 'n', fence: 1, name: 'job', version: '1', input: null, chosen: false, extra: null };
const start = (id: string) => ({ request: true, start: { workflowID: id, ...START } });

/** The flight that is the n-th to have taken off. */
function flight(n: number): Flight {
  const found = flights[n];
  if (found === undefined) throw new Error(`There were only ${flights.length} flights`);
  return found;
}

test('are told after some seconds; a start that was sent settles all the same', async () => {
  add('start', start('s'));
  await turn();
  expect(journal.starting()).toEqual(['s']);
  await pass(2900);
  expect(log).toEqual([]);
  await pass(200);
  expect(log).toEqual(['start told DatabaseUnavailableError']);
  expect(journal.starting()).toEqual(['s']);
  await flight(0).crash(CONNECTION_LOST);
  await pass(10);
  await flight(1).land();
  expect(log).toEqual(['start told DatabaseUnavailableError', 'start written']);
  expect(journal.starting()).toEqual([]);
});

test('whose operation was not even sent are told too, and it is dropped; running workflows wait', async () => {
  add('a', of('a'));
  await turn();
  add('b', of('b'));
  await turn();
  add('queued', start('s'));
  add('c', of('c'));
  await pass(3100);
  await flight(0).crash(CONNECTION_LOST);
  await pass(10);
  expect(log).toEqual(['queued told DatabaseUnavailableError']);
  expect(journal.starting()).toEqual([]);
  await flight(1).land();
  expect(flights.at(-1)?.names).toEqual(['c']);
});

test('whose operation found no connection are told, and it is dropped; the rest of its flush goes on', async () => {
  add('a', of('a'));
  add('start', start('s'));
  await turn();
  await flight(0).stay();
  await pass(3100);
  expect(log).toEqual(['start told DatabaseUnavailableError']);
  await flight(1).stay();
  await pass(2000);
  expect(journal.starting()).toEqual([]);
  expect(flight(2).names).toEqual(['a']);
  await flight(2).land();
  expect(log).toEqual(['start told DatabaseUnavailableError', 'a written']);
});

test('whose operation was sent once are told once, and it is sent until its fate is known', async () => {
  add('start', start('s'));
  await turn();
  await flight(0).crash(CONNECTION_LOST);
  await pass(3100);
  await flight(1).stay();
  await pass(2000);
  await flight(2).crash(LOCK_TIMEOUT);
  await pass(3100);
  await flight(3).stay();
  await pass(2000);
  expect(journal.starting()).toEqual(['s']);
  await flight(4).land();
  expect(log).toEqual(['start told DatabaseUnavailableError', 'start written']);
});

test('whose operation the server says that it has undone are told, and it is dropped', async () => {
  add('start', start('s'));
  add('a', of('a'));
  await turn();
  await flight(0).crash(DISK_FULL, 'ERROR');
  await pass(3100);
  await flight(1).crash(DISK_FULL, 'ERROR');
  await pass(2000);
  expect(journal.starting()).toEqual([]);
  await flight(2).land();
  expect([flight(2).names, log]).toEqual([['a'], ['start told DatabaseUnavailableError', 'a written']]);
});

test('whose flush a pooler lost with its server are sent until their fate is known', async () => {
  add('start', start('s'));
  await turn();
  await flight(0).crash(CONNECTION_LOST, 'ERROR');
  await pass(3100);
  await flight(1).stay();
  await pass(2000);
  expect(journal.starting()).toEqual(['s']);
  await flight(2).land();
  expect(log).toEqual(['start told DatabaseUnavailableError', 'start written']);
});

test('behind lanes that answered a moment ago wait on', async () => {
  add('a', of('a'));
  add('a2', { start: { ...START, workflowID: 'n1', chosen: true } });
  await turn();
  add('b', of('b'));
  add('b2', { start: { ...START, workflowID: 'n2', chosen: true } });
  await turn();
  add('innocent', start('s'));
  await pass(2000);
  await flight(0).crash(LOCK_TIMEOUT);
  await flight(1).crash(LOCK_TIMEOUT);
  await pass(2900);
  expect([flights.length, log]).toEqual([4, []]);
  await pass(500);
  expect(log).toEqual(['innocent told DatabaseUnavailableError']);
});

test('behind a lane that asks who holds a row, and gets no answer, are told too', async () => {
  held.rows = () => Promise.resolve(new Set(['a']));
  add('a', of('a'));
  await turn();
  await flight(0).crash(LOCK_TIMEOUT);
  await pass(10);
  held.rows = () => new Promise(() => {});
  await pass(300);
  add('b', of('b'));
  await turn();
  add('queued', start('s'));
  await pass(3600);
  expect([log, journal.starting()]).toEqual([['queued told DatabaseUnavailableError'], []]);
});

test('behind flushes that get no answer are told as soon as others, and dropped; running workflows wait', async () => {
  add('a', of('a'));
  await turn();
  add('b', of('b'));
  await turn();
  await pass(2000);
  add('c', of('c'));
  add('queued', start('s'));
  await pass(2500);
  expect(log).toEqual([]);
  add('late', start('t'));
  await pass(1000);
  expect([log, journal.starting()]).toEqual([['queued told DatabaseUnavailableError'], ['t']]);
  await flight(0).land();
  await flight(1).land();
  expect(flight(2).names).toEqual(['c', 'late']);
});

test('behind one lane without an answer wait for the other one', async () => {
  add('a', of('a'));
  await turn();
  add('b', of('b'));
  await turn();
  add('a2', { ...of('a'), request: true });
  await pass(2000);
  await flight(1).land();
  add('c', of('c'));
  await pass(2900);
  expect(log).toEqual(['b written']);
  await flight(2).land();
  await flight(0).land();
  expect(flights.at(-1)?.names).toEqual(['a2']);
});

test('are told, and what had no connection until then is not sent when there is one', async () => {
  add('a', of('a'));
  add('start', start('s'));
  await turn();
  await flight(0).stay();
  await pass(10);
  expect(flight(1).wanted()).toBe(true);
  await pass(3100);
  expect(flight(1).wanted()).toBe(false);
  await flight(1).stay();
  await pass(2000);
  expect([flight(2).names, flight(2).wanted()]).toEqual([['a'], true]);
});

test('are all that a flush had: that the database is back is told with the next one', async () => {
  add('start', start('s'));
  await turn();
  await flight(0).stay();
  await pass(3100);
  await flight(1).stay();
  await pass(2000);
  expect([flights.length, availability]).toEqual([2, [false, false]]);
  add('a', of('a'));
  await turn();
  await flight(2).land();
  expect(availability).toEqual([false, false, true]);
});

test('whose rows somebody holds are told by a journal that closes', async () => {
  add('start', start('s'));
  await turn();
  journal.close();
  await flight(0).crash(LOCK_TIMEOUT);
  await pass(300);
  expect(log).toEqual(['start told DatabaseUnavailableError']);
});

test('of a journal that closes are told at once', async () => {
  add('a', of('a'));
  add('b', of('b'));
  await turn();
  add('a2', { ...of('a'), request: true });
  journal.close();
  expect(log).toEqual(['a2 told DatabaseUnavailableError']);
});
