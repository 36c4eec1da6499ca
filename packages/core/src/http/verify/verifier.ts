// Owns what a signature check is given and what it says.
// Never knows a provider.
import type { IncomingHttpHeaders } from 'node:http';

/** A webhook as it came in: what is verified are the raw bytes. */
export interface Delivery {
  readonly headers: IncomingHttpHeaders;
  readonly raw: Uint8Array;
  readonly now: Date;
}

export type Verdict =
  | {
      readonly valid: true;
      /** Name of the secret that fits: its name, its index in a list, or `default`. */
      readonly matchedSecret?: string | undefined;
      readonly timestamp?: Date | undefined;
    }
  | { readonly valid: false; readonly reason: string };

/** What an event is called; undefined where the provider's bytes do not say. */
export interface EventIdentity {
  readonly id: string | undefined;
  readonly type: string | undefined;
}

/** Made by `verify.standardWebhooks(…)` and the like. */
export interface Verifier {
  verify(delivery: Delivery): Verdict | Promise<Verdict>;
  /** Asked once the delivery is verified and parsed. */
  identify(delivery: Delivery, data: unknown): EventIdentity;
}

export function header(delivery: Delivery, name: string): string | undefined {
  const value = delivery.headers[name.toLowerCase()];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** A text field of the parsed body. A number that JSON.parse has rounded is none: another one looks the same. */
export function field(data: unknown, name: string): string | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const value = (data as Record<string, unknown>)[name];
  return typeof value === 'string' || Number.isSafeInteger(value) ? String(value) : undefined;
}

export function refused(reason: string): Verdict {
  return { valid: false, reason };
}
