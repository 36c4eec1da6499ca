// Owns what may be the id of a workflow, or the name of anything.
// Never knows which ids are taken.
import { createHash } from 'node:crypto';
import { ValidationError } from '../errors/index.ts';

const MAX_LENGTH = 255;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** @throws ValidationError unless it is a string of 1 to 255 characters that Postgres can keep */
export function checkWorkflowID(id: unknown): string {
  return check(id, 'workflow ID');
}

/** `{parent}-{step}`, the id of a child that nobody named; where that is too long, its beginning and a hash of it. */
export function childWorkflowID(parentID: string, stepID: number): string {
  return shortened(`${parentID}-${stepID}`, '');
}

/**
 * `sched-{name}-{which}`, the id of a run of a schedule: its tick (an ISO instant), or what it was triggered by. Where
 * that is too long, the name is cut and a hash of it follows.
 */
export function scheduledWorkflowID(name: string, which: string): string {
  return shortened(`sched-${name}`, `-${which}`);
}

/** The text with its tail, with a hash in the place of what is too much of it. */
function shortened(text: string, tail: string): string {
  const whole = text + tail;
  if (whole.length <= MAX_LENGTH) return whole;
  const characters = [...text];
  if (characters.length + tail.length <= MAX_LENGTH) return whole;
  const hash = createHash('sha256').update(text).digest('base64url').slice(0, 22);
  return `${characters.slice(0, MAX_LENGTH - tail.length - hash.length - 1).join('')}-${hash}${tail}`;
}

/**
 * The same rules for names of workflows, steps, queues, topics, keys.
 *
 * @param what for the message: `queue name`
 * @throws ValidationError
 */
export function checkName(name: unknown, what: string): string {
  return check(name, what);
}

function check(id: unknown, what: string): string {
  if (typeof id !== 'string')
    throw invalid(what, 'must be a string', id === null ? 'null' : `a ${typeof id}`);
  if (id === '') throw invalid(what, 'must not be empty', "''");
  if (id.length > MAX_LENGTH && [...id].length > MAX_LENGTH) {
    throw invalid(what, `must have at most ${MAX_LENGTH} characters`, `${[...id].length} characters long`);
  }
  if (id.includes('\0')) throw invalid(what, 'must not contain NUL', JSON.stringify(id));
  if (LONE_SURROGATE.test(id)) throw invalid(what, 'must be well-formed Unicode', JSON.stringify(id));
  return id;
}

function invalid(what: string, rule: string, given: string): ValidationError {
  return new ValidationError(`A ${what} ${rule}; this one is ${given}.`);
}
