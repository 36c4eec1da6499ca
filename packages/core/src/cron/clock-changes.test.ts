// Ticks around changes of the clocks, against a second implementation. That knows what clocks show from Intl, and nothing
// of changes: it goes from minute to minute.
import { expect, test } from 'vitest';
import { parseCrontab } from './crontab.ts';

const HOUR = 3_600_000;
const crontabs = [
  '*/10 * * * *',
  '5 * * * *',
  '20 */3 * * *',
  '10,50 0-3 * * *',
  '*/25 1,2 * * *',
  '45 2 * * *',
  '0 0 * * *',
  '30 23 * * 0',
  '15 1 */2 * *',
];
const changes: [string, string][] = [
  ['America/New_York', '2026-03-08T07:00:00Z'],
  ['America/New_York', '2026-11-01T06:00:00Z'],
  ['Europe/Berlin', '2026-03-29T01:00:00Z'],
  ['Europe/Berlin', '2026-10-25T01:00:00Z'],
  ['Australia/Sydney', '2026-04-04T16:00:00Z'],
  ['Australia/Sydney', '2026-10-03T16:00:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  ['America/Santiago', '2026-04-05T03:00:00Z'],
  ['America/Santiago', '2026-09-06T04:00:00Z'],
  ['America/St_Johns', '2026-03-08T05:30:00Z'],
  ['Africa/Casablanca', '2026-03-22T02:00:00Z'],
];

test.each(changes)('the ticks are those found by going through all minutes: %s on %s', (timezone, change) => {
  const from = Date.parse(change) - 6 * HOUR;
  const to = Date.parse(change) + 27 * HOUR;
  const minutes = minutesOf(timezone, from, to);
  for (const crontab of crontabs) {
    const expected = bruteForce(crontab, minutes);
    const { ticks, next } = parseCrontab(crontab, timezone);
    const found = [...ticks(new Date(from), new Date(to))].map((tick) => tick.getTime());
    expect(found, crontab).toEqual(expected);
    // Whenever one asks, the answer is the first of these after it.
    for (let at = from; at < to; at += 53 * 60_000 + 1) {
      const first = expected.find((tick) => tick > at);
      if (first !== undefined) expect(next(new Date(at))?.getTime(), `${crontab} after ${at}`).toBe(first);
    }
  }
});

interface Minute {
  at: number;
  /** As if it were UTC. */
  wall: number;
}

function minutesOf(timezone: string, from: number, to: number): Minute[] {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: timezone,
    dateStyle: 'short',
    timeStyle: 'short',
  });
  const minutes: Minute[] = [];
  for (let at = from; at < to; at += 60_000)
    minutes.push({ at, wall: Date.parse(`${format.format(at).replace(' ', 'T')}Z`) });
  return minutes;
}

function bruteForce(crontab: string, minutes: readonly Minute[]): number[] {
  const fits = matcher(crontab);
  const follows = crontab.split(' ')[1]?.startsWith('*') ?? false;
  const found = new Set<number>();
  let shown = (minutes[0]?.wall ?? 0) - 60_000;
  for (const { at, wall } of minutes) {
    if (follows) {
      if (fits(wall)) found.add(at);
      continue;
    }
    // All that the clocks have come to for the first time, what they went over included.
    for (; shown < wall;) if (fits((shown += 60_000))) found.add(at);
  }
  return [...found];
}

/** Steps, lists and ranges of numbers, which is all that is used here. */
function matcher(crontab: string): (wall: number) => boolean {
  const allowed = crontab.split(' ').map((field, index) => {
    const [low = 0, high = 0] =
      [
        [0, 59],
        [0, 23],
        [1, 31],
        [1, 12],
        [0, 6],
      ][index] ?? [];
    const values = new Set<number>();
    for (const part of field.split(',')) {
      const [range = '', step = '1'] = part.split('/');
      const [first = low, last = range === '*' ? high : first] =
        range === '*' ? [low, high] : range.split('-').map(Number);
      for (let value = first; value <= last; value += Number(step)) values.add(value);
    }
    return values;
  });
  return (wall) => {
    const date = new Date(wall);
    const shown = [
      date.getUTCMinutes(),
      date.getUTCHours(),
      date.getUTCDate(),
      date.getUTCMonth() + 1,
      date.getUTCDay(),
    ];
    return shown.every((value, index) => allowed[index]?.has(value));
  };
}
