// Owns what the clocks of a time zone show, from the rules of the JavaScript engine (Intl). Wall times are milliseconds
// as if the zone were UTC. Never knows of cron.

const DAY = 86_400_000;
/** Clocks that show the same before and after so long a while were not changed in it: changes come in months. */
const STEADY = 3 * DAY;

export interface Zone {
  /** What the clocks show at an instant. */
  wallAt(instant: number): number;
  /** When they show it: once as a rule, twice where they are put back, never where they are put forward. */
  instantsOf(wall: number): number[];
  /** The next change of the clocks within a day before or after, if there is one: when, and the wall times around it. */
  changeBetween(from: number, to: number): Change | undefined;
}

interface Change {
  at: number;
  /** What the clocks would have shown without it, and what they show. */
  before: number;
  after: number;
}

/** @throws RangeError if there is no such zone */
export function createZone(timeZone: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });

  const look = (instant: number): number => {
    const second = Math.floor(instant / 1000) * 1000;
    const [month = 0, day = 0, year = 0, hour = 0, minute = 0, seconds = 0] = (
      format.format(second).match(/\d+/g) ?? []
    ).map(Number);
    return Date.UTC(year, month - 1, day, hour, minute, seconds) - second;
  };

  // Most looks are at neighbours, and one by Intl takes microseconds.
  let steady = { from: Number.NaN, to: Number.NaN, offset: 0 };
  const offsetAt = (instant: number): number => {
    if (instant >= steady.from && instant <= steady.to) return steady.offset;
    const offset = look(instant);
    const [from, to] = [instant - STEADY, instant + STEADY];
    if (look(from) === offset && look(to) === offset) steady = { from, to, offset };
    return offset;
  };

  return {
    wallAt: (instant) => instant + offsetAt(instant),
    instantsOf: (wall) => {
      // No zone is a day away from UTC, so these are before and after whatever happens at that wall time.
      const offsets = new Set([offsetAt(wall - DAY), offsetAt(wall + DAY)]);
      return [...offsets]
        .map((offset) => wall - offset)
        .filter((instant) => instant + offsetAt(instant) === wall)
        .sort((a, b) => a - b);
    },
    changeBetween: (from, to) => {
      const before = offsetAt(from);
      const after = offsetAt(to);
      if (before === after) return undefined;
      let [low, high] = [from, to];
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        if (offsetAt(middle) === before) low = middle;
        else high = middle;
      }
      return { at: high, before: high + before, after: high + after };
    },
  };
}
