// Owns when a crontab's ticks are. A library (croner) reads the fields and does the calendar, on wall times; which
// instants those are, where clocks are put forward or back, is decided here.

import { Cron } from 'croner';
import { ConfigurationError } from '../errors/index.ts';
import { createZone, type Zone } from './zone.ts';

const DAY = 86_400_000;

export interface Crontab {
  /** The first tick after that instant; null if there is none any more. */
  next(after: Date): Date | null;
  /** All ticks from one instant up to another, which does not belong to it. */
  ticks(from: Date, to: Date): Generator<Date>;
}

/**
 * Reads a crontab of five fields (minute, hour, day of the month, month, day of the week) or six (a second first), in an
 * IANA time zone.
 *
 * A field is `*`, a number, a name (`JAN`, `MON`), a range, a step (`*` or a range, then `/n`), or a list of them with
 * commas; `L` is the last day of the month. Sunday is 0 and 7. The days follow crontab(5) of Vixie cron: a tick's day
 * fits the day of the month *or* that of the week, unless one of these fields begins with `*`; then it fits both.
 *
 * Where clocks are put forward or back, what counts is whether the hour field begins with `*`:
 * - With fixed hours a tick happens once per wall time. What the clocks leave out happens in the first instant after it
 *   (several such: once), and what they show twice happens the first time.
 * - With `*` the clocks are followed: what they leave out does not happen, and what they show twice happens twice. So
 *   `0,30 * * * *` comes every 30 minutes of real time, through both changes.
 *
 * That is what cron(8) of Debian and of FreeBSD (`-s`) say that they do. Only, Debian's follows the clocks also where the
 * minute field begins with `*`, and so has no tick in an hour of 2 that is left out.
 *
 * @throws ConfigurationError for what is no crontab, never comes (30 February), or is in no time zone
 * @example
 * parseCrontab('0 9 * * MON-FRI', 'Europe/Berlin').next(new Date());
 */
export function parseCrontab(text: string, timeZone: string): Crontab {
  const zone = readZone(timeZone);
  const { fields, nextWall } = readFields(text);
  const next = (/^[*?]/.test(fields.at(-4) ?? '') ? nextFollowing : nextFixed)(zone, nextWall);
  if (nextWall(Date.UTC(2000, 0)) === null)
    throw new ConfigurationError(
      `The crontab ${JSON.stringify(text)} never comes: there is no such day in any of its months.`,
    );
  const nextDate = (after: Date): Date | null => {
    const at = next(after.getTime());
    return at === null ? null : new Date(at);
  };
  return {
    next: nextDate,
    *ticks(from, to) {
      let tick = nextDate(new Date(from.getTime() - 1));
      while (tick !== null && tick < to) {
        yield tick;
        tick = nextDate(tick);
      }
    },
  };
}

type Next = (after: number) => number | null;

/** Fixed hours: each wall time once. From wall times to instants this never goes back, and meets at the end of a gap. */
function nextFixed(zone: Zone, nextWall: Next): Next {
  const firstInstant = (wall: number): number =>
    zone.instantsOf(wall)[0] ?? zone.changeBetween(wall - DAY, wall + DAY)?.at ?? wall;
  return (after) => {
    let wall = zone.wallAt(after);
    const first = firstInstant(wall);
    // The clocks show this for the second time: go on where they are through with that.
    if (first < after) wall = (zone.changeBetween(first, after)?.before ?? wall) - 1;
    for (;;) {
      const next = nextWall(wall);
      if (next === null) return null;
      const instant = firstInstant(next);
      if (instant > after) return instant;
      wall = next;
    }
  };
}

/** `*` in the hours: whenever the clocks show a wall time. */
function nextFollowing(zone: Zone, nextWall: Next): Next {
  const onward = (after: number): number => {
    let wall = zone.wallAt(after);
    for (;;) {
      const next = nextWall(wall);
      if (next === null) return Number.POSITIVE_INFINITY;
      const instants = zone.instantsOf(next);
      const instant = instants.find((at) => at > after);
      if (instant !== undefined) return instant;
      // Left out: go on where the clocks do.
      const gap = instants.length === 0 ? zone.changeBetween(next - DAY, next + DAY) : undefined;
      wall = gap === undefined ? next : gap.after - 1;
    }
  };
  return (after) => {
    let next = onward(after);
    const change = zone.changeBetween(after, after + DAY);
    // What the clocks show now they will show again: that comes before what they have not shown yet.
    if (change !== undefined && change.after <= zone.wallAt(after) && next > change.at) {
      const again = nextWall(change.after - 1);
      if (again !== null) next = Math.min(next, again - (change.after - change.at));
    }
    return Number.isFinite(next) ? next : null;
  };
}

const NAMES = ['second', 'minute', 'hour', 'day of the month', 'month', 'day of the week'];

/** A tick after a wall time, as if there were no changes of clocks. */
function readFields(text: unknown): { fields: string[]; nextWall: Next } {
  const fields = typeof text === 'string' ? text.trim().split(/\s+/) : [];
  if (fields.length !== 5 && fields.length !== 6)
    throw new ConfigurationError(
      `A crontab has five fields (minute, hour, day of the month, month, day of the week), or six with a second before them, such as "0 9 * * MON-FRI". This one is ${JSON.stringify(text)}.`,
    );
  const cron = toCron(fields);
  if (cron instanceof Error) throw invalid(text as string, fields, cron);
  return {
    fields,
    nextWall: (after) => cron.nextRun(new Date(after))?.getTime() ?? null,
  };
}

function toCron(fields: readonly string[]): Cron | Error {
  const [day = '', , weekday = ''] = fields.slice(-3);
  const domAndDow = day.startsWith('*') || weekday.startsWith('*');
  try {
    return new Cron(fields.join(' '), { utcOffset: 0, mode: '5-or-6-parts', domAndDow });
  } catch (error) {
    return error as Error;
  }
}

/** Says which field is wrong: the one that is alone, too. */
function invalid(text: string, fields: readonly string[], cause: Error): ConfigurationError {
  const names = NAMES.slice(-fields.length);
  const wrong = fields.findIndex(
    (field, at) => toCron(fields.map((_, i) => (i === at ? field : '*'))) instanceof Error,
  );
  const where = wrong < 0 ? '' : `, because of ${JSON.stringify(fields[wrong])} for the ${names[wrong]}`;
  return new ConfigurationError(
    `${JSON.stringify(text)} is no crontab${where}. Its fields are ${names.join(', ')}: numbers, names such as JAN or MON, ranges from the smaller to the larger, steps such as */15, lists with commas.`,
    { cause },
  );
}

function readZone(timeZone: string): Zone {
  try {
    // An offset has no daylight saving; Node takes it for a zone in newer versions alone.
    if (typeof timeZone === 'string' && /^[A-Za-z]/.test(timeZone)) return createZone(timeZone);
  } catch {
    // Said below.
  }
  throw new ConfigurationError(
    `There is no time zone ${JSON.stringify(timeZone)}. Give the name of one from the IANA database, such as "Europe/Berlin" or "UTC".`,
  );
}
