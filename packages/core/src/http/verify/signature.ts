// Owns the comparison of signatures and the window in which a signed time is fresh.
// Never takes longer for a wrong signature that is nearly right.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { secondsToMilliseconds } from '../../codec/index.ts';
import type { NamedSecret } from './secrets.ts';
import { refused, type Verdict } from './verifier.ts';

const TOLERANCE_SECONDS = 300;

export interface TimeOptions {
  /** How far the signed time may be off, past and future; default 300. */
  readonly toleranceSeconds?: number | undefined;
}

export function toleranceMs(options: TimeOptions): number {
  return secondsToMilliseconds(
    options.toleranceSeconds ?? TOLERANCE_SECONDS,
    'toleranceSeconds of a webhook',
    { allowInfinity: true },
  );
}

/** The signed time from a header with Unix seconds, or why it does not do. */
export function freshTime(
  text: string,
  now: Date,
  tolerance: number,
): { timestamp: Date } | { refusal: Verdict } {
  if (!/^\d{1,12}$/.test(text)) return { refusal: refused('The timestamp is not a number of seconds.') };
  const timestamp = new Date(Number(text) * 1_000);
  const off = now.getTime() - timestamp.getTime();
  if (off > tolerance) return { refusal: refused('The timestamp is too old.') };
  if (off < -tolerance) return { refusal: refused('The timestamp is in the future.') };
  return { timestamp };
}

/** Lower-case hex, as senders write it, so that bytes have one spelling; undefined for anything else. */
export function decodeHex(text: string): Buffer | undefined {
  return /^([0-9a-f]{2})+$/.test(text) ? Buffer.from(text, 'hex') : undefined;
}

export function hmac(
  algorithm: string,
  key: string | Uint8Array,
  parts: readonly (string | Uint8Array)[],
): Buffer {
  const mac = createHmac(algorithm, key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** The first secret that one of the signatures was made with. Every pair is compared, whatever comes of the earlier ones. */
export function matchingSecret<Key>(
  secrets: readonly NamedSecret<Key>[],
  signatures: readonly Uint8Array[],
  expected: (key: Key) => Uint8Array,
): string | undefined {
  let matched: string | undefined;
  for (const { name, key } of secrets) {
    const wanted = expected(key);
    for (const signature of signatures) {
      const equal = signature.byteLength === wanted.byteLength && timingSafeEqual(signature, wanted);
      if (equal) matched ??= name;
    }
  }
  return matched;
}
