// When the ticks of a crontab are. The expected instants were worked out by hand from the rules of crontab(5) and the
// zones' published changes.
import { describe, expect, test } from 'vitest';
import { ConfigurationError } from '../errors/index.ts';
import { parseCrontab } from './crontab.ts';

/** Crontab, zone, after; then the next ticks, each written as far as it differs from the one before. */
type Case = [crontab: string, timezone: string, after: string, ...ticks: string[]];

function expectTicks([crontab, timezone, after, ...ticks]: Case): void {
  const times = parseCrontab(crontab, timezone);
  let at: Date | null = new Date(after);
  const found: string[] = [];
  for (let i = 0; i < ticks.length && at !== null; i++) {
    at = times.next(at);
    found.push(at?.toISOString().replace('.000Z', 'Z') ?? 'never');
  }
  let last = '';
  expect(found).toEqual(ticks.map((tick) => (last = last.slice(0, Math.max(0, 20 - tick.length)) + tick)));
}

const name = 'after $2 in $1: $0';

describe('fields', () => {
  test.each<Case>([
    ['* * * * *', 'UTC', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z', '02:00Z', '03:00Z'],
    ['* * * * *', 'UTC', '2026-01-01T00:00:59.999Z', '2026-01-01T00:01:00Z'],
    ['* * * * * *', 'UTC', '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z', '02Z'],
    ['* * * * * *', 'UTC', '2026-01-01T00:00:00.001Z', '2026-01-01T00:00:01Z'],
    ['* * * * * *', 'UTC', '2026-12-31T23:59:59Z', '2027-01-01T00:00:00Z'],
    ['15,45 * * * * *', 'UTC', '2026-01-01T00:00:15Z', '2026-01-01T00:00:45Z', '01:15Z'],
    ['*/20 * * * * *', 'UTC', '2026-01-01T00:00:21Z', '2026-01-01T00:00:40Z', '01:00Z', '20Z'],
    ['0 0 12 * * *', 'UTC', '2026-01-01T12:00:00Z', '2026-01-02T12:00:00Z'],
    ['30 5 0 1 1 *', 'UTC', '2026-01-01T00:05:30Z', '2027-01-01T00:05:30Z'],
    ['*/15 * * * *', 'UTC', '2026-01-01T00:31:00Z', '2026-01-01T00:45:00Z', '01:00:00Z'],
    ['*/7 * * * *', 'UTC', '2026-01-01T00:50:00Z', '2026-01-01T00:56:00Z', '01:00:00Z', '07:00Z'],
    [
      '10-30/10 * * * *',
      'UTC',
      '2026-01-01T00:00:00Z',
      '2026-01-01T00:10:00Z',
      '20:00Z',
      '30:00Z',
      '01:10:00Z',
    ],
    ['0 9-17/4 * * *', 'UTC', '2026-01-01T10:00:00Z', '2026-01-01T13:00:00Z', '17:00:00Z', '02T09:00:00Z'],
    [
      '5,10-12,50 3 * * *',
      'UTC',
      '2026-01-01T03:05:00Z',
      '2026-01-01T03:10:00Z',
      '11:00Z',
      '12:00Z',
      '50:00Z',
    ],
    ['0 0 * JAN,jul *', 'UTC', '2026-01-31T00:00:00Z', '2026-07-01T00:00:00Z'],
    [
      '0 0 1 FEB-APR *',
      'UTC',
      '2026-02-01T00:00:00Z',
      '2026-03-01T00:00:00Z',
      '04-01T00:00:00Z',
      '2027-02-01T00:00:00Z',
    ],
    ['0 9 * * MON-FRI', 'UTC', '2026-01-02T09:00:00Z', '2026-01-05T09:00:00Z'],
    ['0 0 * * 0', 'UTC', '2026-01-01T00:00:00Z', '2026-01-04T00:00:00Z', '11T00:00:00Z'],
    ['0 0 * * 7', 'UTC', '2026-01-01T00:00:00Z', '2026-01-04T00:00:00Z'],
    ['0 0 * * sun', 'UTC', '2026-01-01T00:00:00Z', '2026-01-04T00:00:00Z'],
    [
      '0 0 * * 5-7',
      'UTC',
      '2026-01-01T00:00:00Z',
      '2026-01-02T00:00:00Z',
      '03T00:00:00Z',
      '04T00:00:00Z',
      '09T00:00:00Z',
    ],
    ['  0   0  *  *  1 ', 'UTC', '2026-01-01T00:00:00Z', '2026-01-05T00:00:00Z'],
    ['0 0 * * */3', 'UTC', '2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z', '04T00:00:00Z', '07T00:00:00Z'],
    ['59 23 31 12 *', 'UTC', '2026-12-31T23:59:00Z', '2027-12-31T23:59:00Z'],
  ])(name, (...given) => expectTicks(given));
});

describe('days of the month and of the week', () => {
  test.each<Case>([
    [
      '0 0 13 * FRI',
      'UTC',
      '2026-01-01T00:00:00Z',
      '2026-01-02T00:00:00Z',
      '09T00:00:00Z',
      '13T00:00:00Z',
      '16T00:00:00Z',
    ],
    ['0 0 1,15 * 3', 'UTC', '2026-01-10T00:00:00Z', '2026-01-14T00:00:00Z', '15T00:00:00Z', '21T00:00:00Z'],
    ['0 0 13 * *', 'UTC', '2026-01-01T00:00:00Z', '2026-01-13T00:00:00Z', '02-13T00:00:00Z'],
    // A field that begins with * does not add days: the other one must fit, too.
    [
      '0 0 */2 * MON',
      'UTC',
      '2026-01-01T00:00:00Z',
      '2026-01-05T00:00:00Z',
      '19T00:00:00Z',
      '02-09T00:00:00Z',
    ],
    ['0 0 1-7 * */7', 'UTC', '2026-01-01T00:00:00Z', '2026-01-04T00:00:00Z', '02-01T00:00:00Z'],
    [
      '0 0 31 * *',
      'UTC',
      '2026-01-31T00:00:00Z',
      '2026-03-31T00:00:00Z',
      '05-31T00:00:00Z',
      '07-31T00:00:00Z',
    ],
    ['0 0 30 * *', 'UTC', '2026-01-30T00:00:00Z', '2026-03-30T00:00:00Z', '04-30T00:00:00Z'],
    [
      '0 0 L * *',
      'UTC',
      '2026-01-31T00:00:00Z',
      '2026-02-28T00:00:00Z',
      '03-31T00:00:00Z',
      '04-30T00:00:00Z',
    ],
    ['0 0 L 2 *', 'UTC', '2027-03-01T00:00:00Z', '2028-02-29T00:00:00Z', '2029-02-28T00:00:00Z'],
    ['0 0 29 2 *', 'UTC', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z', '2032-02-29T00:00:00Z'],
    // 2100 is no leap year.
    ['0 0 29 2 *', 'UTC', '2096-02-29T00:00:00Z', '2104-02-29T00:00:00Z'],
    [
      '0 0 29 2 MON',
      'UTC',
      '2028-02-21T00:00:00Z',
      '2028-02-28T00:00:00Z',
      '29T00:00:00Z',
      '2029-02-05T00:00:00Z',
    ],
    ['0 0 30 2 SUN', 'UTC', '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z', '08T00:00:00Z'],
    ['59 59 23 28 2 *', 'UTC', '2028-02-28T23:59:58Z', '2028-02-28T23:59:59Z', '2029-02-28T23:59:59Z'],
  ])(name, (...given) => expectTicks(given));
});

describe('time zones', () => {
  test.each<Case>([
    ['0 9 * * *', 'Asia/Kolkata', '2026-01-01T00:00:00Z', '2026-01-01T03:30:00Z', '02T03:30:00Z'],
    ['0 * * * *', 'Asia/Kolkata', '2026-01-01T00:00:00Z', '2026-01-01T00:30:00Z', '01:30:00Z'],
    ['0 0 1 * *', 'Asia/Kathmandu', '2026-01-10T00:00:00Z', '2026-01-31T18:15:00Z', '02-28T18:15:00Z'],
    ['0 0 1 1 *', 'Pacific/Kiritimati', '2026-06-01T00:00:00Z', '2026-12-31T10:00:00Z'],
    ['0 0 1 1 *', 'Pacific/Pago_Pago', '2026-06-01T00:00:00Z', '2027-01-01T11:00:00Z'],
    ['0 0 29 2 *', 'America/New_York', '2026-01-01T00:00:00Z', '2028-02-29T05:00:00Z'],
    ['0 12 * * SUN', 'Asia/Tokyo', '2026-01-03T16:00:00Z', '2026-01-04T03:00:00Z'],
    ['30 8 * * *', 'Africa/Abidjan', '2026-07-01T00:00:00Z', '2026-07-01T08:30:00Z'],
    ['0 9 * * *', 'Europe/Berlin', '2026-03-28T00:00:00Z', '2026-03-28T08:00:00Z', '29T07:00:00Z'],
    ['0 9 * * *', 'Europe/Berlin', '2026-10-24T00:00:00Z', '2026-10-24T07:00:00Z', '25T08:00:00Z'],
    ['0 9 * * *', 'America/Sao_Paulo', '2026-01-01T00:00:00Z', '2026-01-01T12:00:00Z'],
  ])(name, (...given) => expectTicks(given));
});

// New York 2026: 8 March 07:00Z 02:00 -> 03:00; 1 November 06:00Z 02:00 -> 01:00. Berlin: 29 March and 25 October, 01:00Z.
// Sydney: 4 April 16:00Z 03:00 -> 02:00; 3 October 16:00Z 02:00 -> 03:00. Lord Howe: 4 April 15:00Z 02:00 -> 01:30; 3
// October 15:30Z 02:00 -> 02:30. Santiago: 5 April 03:00Z 24:00 -> 23:00; 6 September 04:00Z 00:00 -> 01:00.
describe('clocks that are put forward, hours fixed: what is left out comes in the first instant after it, once', () => {
  test.each<Case>([
    ['30 2 * * *', 'America/New_York', '2026-03-07T12:00:00Z', '2026-03-08T07:00:00Z', '09T06:30:00Z'],
    ['0 2 * * *', 'America/New_York', '2026-03-07T12:00:00Z', '2026-03-08T07:00:00Z', '09T06:00:00Z'],
    ['0 3 * * *', 'America/New_York', '2026-03-07T12:00:00Z', '2026-03-08T07:00:00Z', '09T07:00:00Z'],
    [
      '*/15 2 * * *',
      'America/New_York',
      '2026-03-07T12:00:00Z',
      '2026-03-08T07:00:00Z',
      '09T06:00:00Z',
      '15:00Z',
    ],
    [
      '0 2,3 * * *',
      'America/New_York',
      '2026-03-07T12:00:00Z',
      '2026-03-08T07:00:00Z',
      '09T06:00:00Z',
      '07:00:00Z',
    ],
    [
      '30 1-3 * * *',
      'America/New_York',
      '2026-03-08T06:00:00Z',
      '2026-03-08T06:30:00Z',
      '07:00:00Z',
      '07:30:00Z',
    ],
    ['15 30 2 * * *', 'America/New_York', '2026-03-08T06:59:59Z', '2026-03-08T07:00:00Z', '09T06:30:15Z'],
    [
      '30 2 8 3 *',
      'America/New_York',
      '2026-01-01T00:00:00Z',
      '2026-03-08T07:00:00Z',
      '2027-03-08T07:30:00Z',
    ],
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-29T01:00:00Z', '30T00:30:00Z'],
    ['30 2 * * *', 'Australia/Sydney', '2026-10-03T12:00:00Z', '2026-10-03T16:00:00Z', '04T15:30:00Z'],
    ['15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T12:00:00Z', '2026-10-03T15:30:00Z', '04T15:15:00Z'],
    ['45 2 * * *', 'Australia/Lord_Howe', '2026-10-03T12:00:00Z', '2026-10-03T15:45:00Z', '04T15:45:00Z'],
    // Midnight itself is left out.
    ['0 0 * * *', 'America/Santiago', '2026-09-05T12:00:00Z', '2026-09-06T04:00:00Z', '07T03:00:00Z'],
    // A whole day was: Samoa went from 29 to 31 December 2011.
    [
      '0 12 * * *',
      'Pacific/Apia',
      '2011-12-29T00:00:00Z',
      '2011-12-29T22:00:00Z',
      '30T10:00:00Z',
      '22:00:00Z',
    ],
  ])(name, (...given) => expectTicks(given));
});

describe('clocks that are put back, hours fixed: what is shown twice comes the first time', () => {
  test.each<Case>([
    ['30 1 * * *', 'America/New_York', '2026-10-31T12:00:00Z', '2026-11-01T05:30:00Z', '02T06:30:00Z'],
    ['0 1 * * *', 'America/New_York', '2026-11-01T05:00:00Z', '2026-11-02T06:00:00Z'],
    ['0 2 * * *', 'America/New_York', '2026-11-01T05:00:00Z', '2026-11-01T07:00:00Z', '02T07:00:00Z'],
    [
      '*/30 1 * * *',
      'America/New_York',
      '2026-11-01T04:59:59Z',
      '2026-11-01T05:00:00Z',
      '30:00Z',
      '02T06:00:00Z',
    ],
    // Asked while they are shown for the second time.
    ['30 1 * * *', 'America/New_York', '2026-11-01T06:10:00Z', '2026-11-02T06:30:00Z'],
    ['30 1,2 * * *', 'America/New_York', '2026-11-01T06:10:00Z', '2026-11-01T07:30:00Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', '2026-10-25T00:30:00Z', '26T01:30:00Z'],
    ['30 2 * * *', 'Australia/Sydney', '2026-04-04T12:00:00Z', '2026-04-04T15:30:00Z', '05T16:30:00Z'],
    ['45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T12:00:00Z', '2026-04-04T14:45:00Z', '05T15:15:00Z'],
    ['30 23 * * *', 'America/Santiago', '2026-04-04T12:00:00Z', '2026-04-05T02:30:00Z', '06T03:30:00Z'],
  ])(name, (...given) => expectTicks(given));
});

describe('every hour: the clocks are followed through both changes', () => {
  test.each<Case>([
    [
      '*/30 * * * *',
      'America/New_York',
      '2026-03-08T06:00:00Z',
      '2026-03-08T06:30:00Z',
      '07:00:00Z',
      '30:00Z',
      '08:00:00Z',
    ],
    [
      '*/30 * * * *',
      'America/New_York',
      '2026-11-01T05:00:00Z',
      '2026-11-01T05:30:00Z',
      '06:00:00Z',
      '30:00Z',
      '07:00:00Z',
    ],
    ['15 * * * *', 'America/New_York', '2026-03-08T06:15:00Z', '2026-03-08T07:15:00Z', '08:15:00Z'],
    ['15 * * * *', 'America/New_York', '2026-11-01T05:15:00Z', '2026-11-01T06:15:00Z', '07:15:00Z'],
    ['0 */2 * * *', 'America/New_York', '2026-03-08T05:00:00Z', '2026-03-08T08:00:00Z', '10:00:00Z'],
    ['0 */2 * * *', 'America/New_York', '2026-11-01T04:00:00Z', '2026-11-01T07:00:00Z', '09:00:00Z'],
    ['*/30 * * * *', 'Europe/Berlin', '2026-03-29T00:30:00Z', '2026-03-29T01:00:00Z', '30:00Z'],
    ['*/30 * * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25T01:00:00Z', '30:00Z', '02:00:00Z'],
    ['0 * * * *', 'Australia/Sydney', '2026-04-04T15:00:00Z', '2026-04-04T16:00:00Z', '17:00:00Z'],
    [
      '*/30 * * * *',
      'Australia/Lord_Howe',
      '2026-04-04T14:30:00Z',
      '2026-04-04T15:00:00Z',
      '30:00Z',
      '16:00:00Z',
    ],
    ['*/30 * * * *', 'Australia/Lord_Howe', '2026-10-03T15:00:00Z', '2026-10-03T15:30:00Z', '16:00:00Z'],
    [
      '45 * * * *',
      'Australia/Lord_Howe',
      '2026-04-04T14:00:00Z',
      '2026-04-04T14:45:00Z',
      '15:15:00Z',
      '16:15:00Z',
    ],
    ['* * * * * *', 'Europe/Berlin', '2026-03-29T00:59:59Z', '2026-03-29T01:00:00Z', '01Z'],
    ['* * * * * *', 'Europe/Berlin', '2026-10-25T00:59:59Z', '2026-10-25T01:00:00Z', '01Z'],
    [
      '*/30 * 1 11 *',
      'America/New_York',
      '2026-06-01T00:00:00Z',
      '2026-11-01T04:00:00Z',
      '30:00Z',
      '05:00:00Z',
    ],
  ])(name, (...given) => expectTicks(given));
});

test.each([
  ['', 'five fields'],
  ['* * * *', 'five fields'],
  ['* * * * * * *', 'five fields'],
  [undefined, 'five fields'],
  [5, 'five fields'],
  ['@daily', 'five fields'],
  ['2026-01-01T00:00:00', 'five fields'],
  ['60 * * * *', '"60" for the minute'],
  ['60 * * * * *', '"60" for the second'],
  ['* 24 * * *', '"24" for the hour'],
  ['* * 0 * *', '"0" for the day of the month'],
  ['* * 32 * *', '"32" for the day of the month'],
  ['* * * 13 *', '"13" for the month'],
  ['* * * * 8', '"8" for the day of the week'],
  ['* * * FOO *', '"FOO" for the month'],
  ['* * * * MONDAY', '"MONDAY" for the day of the week'],
  ['5-1 * * * *', '"5-1" for the minute'],
  ['*/0 * * * *', '"*/0" for the minute'],
  ['-1 * * * *', '"-1" for the minute'],
  ['1.5 * * * *', '"1.5" for the minute'],
  ['1,,2 * * * *', '"1,,2" for the minute'],
  ['0 0 30 2 *', 'never comes'],
  ['0 0 31 4,6,9,11 *', 'never comes'],
])('%j is no crontab, and the error says why', (crontab, why) => {
  const parse = () => parseCrontab(crontab as string, 'UTC');
  expect(parse).toThrow(ConfigurationError);
  expect(parse).toThrow(why);
});

test.each(['', 'Mars/Olympus', 'Europe/Berlim', '+02:00', '2', undefined])(
  '%j is no time zone',
  (timezone) => {
    const parse = () => parseCrontab('* * * * *', timezone as string);
    expect(parse).toThrow(ConfigurationError);
    expect(parse).toThrow('There is no time zone');
  },
);

test('the ticks of a while are those from its begin up to its end, which does not belong to it', () => {
  const { ticks } = parseCrontab('0 * * * *', 'UTC');
  const between = (from: string, to: string) =>
    [...ticks(new Date(from), new Date(to))].map((tick) => tick.toISOString().slice(11, 16));
  expect(between('2026-01-01T01:00:00Z', '2026-01-01T04:00:00Z')).toEqual(['01:00', '02:00', '03:00']);
  expect(between('2026-01-01T01:00:00.001Z', '2026-01-01T04:00:00.001Z')).toEqual([
    '02:00',
    '03:00',
    '04:00',
  ]);
  expect(between('2026-01-01T04:00:00Z', '2026-01-01T01:00:00Z')).toEqual([]);
});
