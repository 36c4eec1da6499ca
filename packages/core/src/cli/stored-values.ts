// Owns how values look on the command line. `--json` gives them in the form in which Pawl stores them, which is JSON and
// loses nothing: a Date is {"$pawl":"Date","v":"…"}. People see what the form stands for. An app may have a serializer
// that this process does not: its values are shown as they are stored.

import { inspect } from 'node:util';
import { type Codec, createCodec } from '../codec/index.ts';
import { EXIT, Failure, messageOf } from './failure.ts';

const standard = createCodec();

/** What `decodeError` of the codec below gives. */
type StoredError = { name: string; message: string; stack?: string } | { thrown: unknown };

export const storedCodec: Codec = {
  ...standard,
  encode: (value) => (value === undefined ? null : JSON.stringify(value)),
  decode: (text) => (text === null ? undefined : parse(text)),
  decodeError: (text): StoredError => {
    const record = parse(text);
    if (typeof record === 'object' && record !== null) {
      if ('error' in record) return record.error as StoredError;
      if ('value' in record) return { thrown: record.value };
    }
    return { thrown: record };
  },
};

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A message from the command line: JSON, which may hold the stored forms of what JSON has no word for. */
export function readMessage(text: string): unknown {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch (error) {
    throw new Failure(
      EXIT.usage,
      `The message is not JSON (${messageOf(error)}). Put quotes around a text, as in '"yes"', or say --text.`,
    );
  }
  try {
    standard.decode(text);
  } catch (error) {
    throw new Failure(EXIT.usage, messageOf(error), { cause: error });
  }
  return message;
}

interface Looks {
  colors: boolean;
  /** On one line, cut where it gets long. */
  line?: boolean;
}

/** A value for people. */
export function showValue(stored: unknown, { colors, line = false }: Looks): string {
  if (stored === undefined) return '';
  const shown = inspect(revived(stored), {
    colors: colors && !line,
    depth: line ? 4 : 20,
    breakLength: line ? Number.POSITIVE_INFINITY : 96,
    maxArrayLength: line ? 20 : 1000,
    maxStringLength: line ? 200 : 100_000,
  });
  return line ? shown.replace(/\s*\n\s*/g, ' ') : shown;
}

/** An error for people: name and message, with `stack` where there is room. */
export function showError(stored: unknown, { colors, line = false }: Looks): string {
  if (stored === undefined || stored === null) return '';
  const { name, message, stack } = stored as { name?: unknown; message?: unknown; stack?: unknown };
  if (typeof message !== 'string' || typeof name !== 'string')
    return `thrown: ${showValue((stored as { thrown?: unknown }).thrown, { colors, line })}`;
  if (!line && typeof stack === 'string' && stack !== '') return stack;
  return `${name}: ${line ? message.replace(/\s*\n\s*/g, ' ') : message}`;
}

function revived(stored: unknown): unknown {
  try {
    return standard.decode(JSON.stringify(stored));
  } catch {
    return stored;
  }
}

/** An error as `--json` gives it. One that was made here, from a status, has nothing but its name and message. */
export function errorForJSON(error: unknown): unknown {
  return error instanceof Error ? { name: error.name, message: error.message } : (error ?? null);
}
