// How the two lanes of a journal share what came in one turn, on lanes that are no database.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Lane } from '../store/database.ts';
import type { FlushResult, Operation } from '../store/operations.ts';
import { createEmitter } from '../telemetry/events.ts';
import { createJournal, type Journal, type JournalOperation } from './journal.ts';

type Named = JournalOperation & { label: string };
interface Flight {
  names: string[];
  land(): Promise<void>;
}

const { flights } = vi.hoisted(() => ({ flights: [] as Flight[] }));
vi.mock('../store/flush.ts', () => ({
  flush: (_lane: Lane, _executor: number, batch: readonly Operation[]) =>
    new Promise<FlushResult>((resolve) => {
      const names = (batch as Named[]).map(({ label }) => label);
      const land = () => {
        resolve({ answers: [], fired: false, ready: false, hints: [] });
        return turn();
      };
      flights.push({ names, land });
    }),
}));

/** The journal takes a batch after the I/O of a turn. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
}

let journal: Journal;
beforeEach(() => {
  flights.length = 0;
  journal = open(false);
});
afterEach(() => journal.close());

function open(serial: boolean): Journal {
  const lane = (): Lane => ({ call: () => Promise.resolve([]), close: () => Promise.resolve() });
  return createJournal({
    lanes: [lane(), lane()],
    serial,
    roundTripMs: () => 1,
    executor: () => 1,
    events: createEmitter(),
    onAftermath: () => {},
    onAvailability: () => {},
  });
}

function add(label: string, workflowID: string, destination?: string, undivided?: boolean): void {
  const operation: Named = {
    fenced: { workflowID, fence: 1, stepID: 0, seq: 0, keep: true },
    label,
    settle: () => {},
    fail: () => {},
  };
  if (destination !== undefined)
    operation.message = { destination, id: 'm', topic: '', body: null, sender: null, park: false };
  if (undivided !== undefined) operation.undivided = undivided;
  journal.add(operation);
}

/** `many('a', 2)`: a0 and a1. */
function many(label: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${label}${i}`);
}

test('from twenty on each gets a half; below, one takes all', async () => {
  for (const id of many('w', 21)) add(id, id);
  await turn();
  expect(flights.map(({ names }) => names)).toEqual([many('w', 21).slice(0, 11), many('w', 21).slice(11)]);
  await Promise.all(flights.map(({ land }) => land()));
  for (const id of many('v', 19)) add(id, id);
  await turn();
  expect(flights.slice(2).map(({ names }) => names)).toEqual([many('v', 19)]);
});

test('with one lane free it takes all', async () => {
  add('a', 'a');
  await turn();
  for (const id of many('w', 40)) add(id, id);
  await turn();
  expect(flights.map(({ names }) => names.length)).toEqual([1, 40]);
});

test('what has a key in common stays together: it would wait for the other flight', async () => {
  for (const label of many('a', 14)) add(label, 'a');
  for (const label of many('b', 10)) add(label, 'b', 'c');
  for (const label of many('d', 5)) add(label, label, 'c');
  await turn();
  expect(flights.map(({ names }) => names.length)).toEqual([29]);
});

test('what is left to the other lane is not overtaken', async () => {
  for (const label of many('a', 12)) add(label, 'a');
  add('first to e', 'f', 'e');
  add('second to e', 'a', 'e');
  for (const id of many('o', 10)) add(id, id);
  await turn();
  expect(flights.map(({ names }) => names)).toEqual([many('a', 12), ['first to e', ...many('o', 10)]]);
  await flights[0]?.land();
  expect(flights).toHaveLength(2);
  await flights[1]?.land();
  expect(flights[2]?.names).toEqual(['second to e']);
});

test('places in a queue, and ids that were chosen, are given out in the order of the calls', async () => {
  const start = (label: string, part: Partial<NonNullable<Operation['start']>>) => {
    const nothing = {
      nonce: 'n',
      fence: 1,
      name: 'job',
      version: '1',
      input: null,
      chosen: false,
      extra: null,
    };
    const operation: Named = {
      start: { workflowID: label, ...nothing, ...part },
      label,
      settle: () => {},
      fail: () => {},
    };
    journal.add(operation);
  };
  const queued = { queue: 'q', priority: null, partitionKey: null, deduplicationID: null, delayMs: null };
  for (const label of many('q', 15)) start(label, { queued });
  for (const label of many('c', 15)) start(label, { chosen: true });
  await turn();
  expect(flights.map(({ names }) => names)).toEqual([[...many('q', 15), ...many('c', 15)]]);
  await flights[0]?.land();
  for (const label of many('n', 20)) start(label, {});
  await turn();
  expect(flights.slice(1).map(({ names }) => names.length)).toEqual([10, 10]);
});

test('what comes from a queue stays together: after each flush of ends the process looks for the next ones', async () => {
  for (const id of many('w', 40)) add(id, id, undefined, true);
  await turn();
  expect(flights.map(({ names }) => names.length)).toEqual([40]);
});

test('lanes that are one connection share nothing', async () => {
  journal = open(true);
  for (const id of many('w', 40)) add(id, id);
  await turn();
  expect(flights.map(({ names }) => names.length)).toEqual([40]);
});
