// Owns how the words of a command line become values: numbers, times, lists, states. What does not fit is refused with
// what would.

import { InvalidArgumentError } from 'commander';
import type { JsonValue, WorkflowState } from '../app/status.ts';
import { toMilliseconds, type Duration } from '../codec/index.ts';

const STATES: readonly WorkflowState[] = [
  'ENQUEUED',
  'DELAYED',
  'PENDING',
  'SUCCESS',
  'ERROR',
  'CANCELLED',
  'MAX_RECOVERY_ATTEMPTS_EXCEEDED',
];

/** `pending,error`; may be given several times. */
export function states(value: string, before: WorkflowState[] = []): WorkflowState[] {
  const named = value.split(',').map((word) => {
    const state = STATES.find((each) => each === word.trim().toUpperCase());
    if (state === undefined) throw new InvalidArgumentError(`There are: ${STATES.join(', ')}.`);
    return state;
  });
  return [...before, ...named];
}

export function several(value: string, before: string[] = []): string[] {
  return [...before, value];
}

export function wholeNumber(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least && number <= most))
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return number;
  };
}

/** An ISO time, or how long ago: `2h`. */
export function instant(value: string): Date {
  if (/^[\d.]+(ms|s|m|h|d)$/.test(value))
    return new Date(Date.now() - toMilliseconds(value as Duration, 'time'));
  const date = /^\d{4}-\d\d/.test(value) ? new Date(value) : new Date(Number.NaN);
  if (Number.isNaN(date.getTime()))
    throw new InvalidArgumentError(
      'It must be a time such as 2026-01-31T12:00Z, or how long ago, such as 2h or 7d.',
    );
  return date;
}

/** `customer=7`: the value is JSON if it can be, else a text. */
export function attribute(value: string, before: Record<string, JsonValue> = {}): Record<string, JsonValue> {
  const cut = value.indexOf('=');
  if (cut < 1) throw new InvalidArgumentError('It must be name=value.');
  const text = value.slice(cut + 1);
  let parsed: JsonValue;
  try {
    parsed = JSON.parse(text) as JsonValue;
  } catch {
    parsed = text;
  }
  return { ...before, [value.slice(0, cut)]: parsed };
}
