// A sender of webhooks: signs by the Standard Webhooks scheme, and can be told to get one thing wrong.
import { createHmac } from 'node:crypto';
import type { Server } from 'node:http';
import request from 'supertest';

export const SECRET = `whsec_${Buffer.from('0123456789abcdef01234567').toString('base64')}`;

export interface Sent {
  readonly id?: string;
  /** Unix seconds; default now. */
  readonly time?: number;
  readonly secret?: string;
  readonly prefix?: 'webhook' | 'svix';
  readonly headers?: Record<string, string>;
}

let ids = 0;

export const newEventID = (): string => `evt_${process.pid}_${(ids += 1)}`;

export function signed(body: string | Uint8Array, sent: Sent = {}): Record<string, string> {
  const { id = newEventID(), time = Date.now() / 1000, secret = SECRET, prefix = 'webhook' } = sent;
  const seconds = String(Math.floor(time));
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest('base64');
  return {
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: seconds,
    [`${prefix}-signature`]: `v1,${signature}`,
    ...sent.headers,
  };
}

export function deliver(server: Server, path: string, body: unknown, sent: Sent = {}): request.Test {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return request(server)
    .post(path)
    .set({ 'content-type': 'application/json', ...signed(text, sent) })
    .send(text);
}
