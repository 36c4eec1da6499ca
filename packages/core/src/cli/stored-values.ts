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
  colors?: boolean;
  /** On one line, cut where it gets long. */
  line?: boolean;
}

const LINE = 80;

/** A value for people. */
export function showValue(stored: unknown, { colors = false, line = false }: Looks): string {
  if (stored === undefined) return '';
  const value = revived(stored);
  return line ? oneLine(inspect(value, BRIEFLY)) : inspect(value, { ...FULLY, colors });
}

const BRIEFLY = {
  depth: 4,
  breakLength: Number.POSITIVE_INFINITY,
  maxArrayLength: 20,
  maxStringLength: LINE,
};
const FULLY = { depth: 20, breakLength: 96, maxArrayLength: 1000, maxStringLength: 100_000 };

/** An error for people. Without colours: its texts are somebody else's. */
export function showError(stored: unknown, { line = false }: Looks = {}): string {
  const { name, message } = stored as { name?: unknown; message?: unknown };
  if (typeof message !== 'string' || typeof name !== 'string')
    return `thrown: ${showValue((stored as { thrown?: unknown }).thrown, { line })}`;
  if (line) return oneLine(`${name}: ${message}`);
  if (stored instanceof Error) return `${name}: ${message}`;
  try {
    return inspect(standard.decodeError(JSON.stringify({ error: stored })), FULLY);
  } catch {
    return `${name}: ${message}`;
  }
}

function oneLine(text: string): string {
  const characters = [...text.replace(/\s*\n\s*/g, ' ')];
  return characters.length <= LINE ? characters.join('') : `${characters.slice(0, LINE - 1).join('')}…`;
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
