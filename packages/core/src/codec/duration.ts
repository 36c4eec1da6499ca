// Owns how lengths of time are written, and their conversion to milliseconds.
// Never reads a clock.
import { ConfigurationError } from '../errors/index.ts';
import { shown } from './shown.ts';

/**
 * A length of time: a number of milliseconds, or a number with a unit.
 *
 * @example
 * await pawl.sleep(250); // milliseconds
 * await pawl.sleep('1.5h');
 */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const TEXT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** 3,000 years; with this much added, now is still a date for JavaScript and for Postgres. */
const LONGEST = 94_672_800_000_000;

interface Limits {
  /** Take Infinity as well: wait for ever. */
  allowInfinity?: boolean;
}

/**
 * @param what names the setting in the error: `timeout of workflow "checkout"`
 * @returns whole milliseconds
 * @throws ConfigurationError for what is negative, NaN, too long, or no duration at all
 */
export function toMilliseconds(duration: Duration, what: string, limits: Limits = {}): number {
  return checked(typeof duration === 'string' ? parse(duration) : duration, duration, what, limits);
}

/** The same for options that are counted in seconds, such as `timeoutSeconds`. */
export function secondsToMilliseconds(seconds: number, what: string, limits: Limits = {}): number {
  return checked(typeof seconds === 'number' ? seconds * 1_000 : Number.NaN, seconds, what, limits);
}

function parse(text: string): number {
  const [, amount, unit] = TEXT.exec(text) ?? [];
  return amount === undefined ? Number.NaN : Number(amount) * UNITS[unit as keyof typeof UNITS];
}

function checked(
  milliseconds: unknown,
  given: unknown,
  what: string,
  { allowInfinity = false }: Limits,
): number {
  if (milliseconds === Number.POSITIVE_INFINITY && allowInfinity) return milliseconds;
  if (typeof milliseconds === 'number' && milliseconds >= 0 && milliseconds <= LONGEST)
    return Math.round(milliseconds);
  const problem =
    typeof milliseconds !== 'number' || Number.isNaN(milliseconds)
      ? `must be a number, or for a duration a text such as '500ms', '30s', '5m', '2h', '7d'`
      : milliseconds < 0
        ? 'must not be negative'
        : `must be at most 3,000 years${allowInfinity ? ', or Infinity' : ''}`;
  throw new ConfigurationError(`The ${what} ${problem}; it is ${shown(given)}.`);
}
