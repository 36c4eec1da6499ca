// Hooks: capability URLs that a workflow makes, so that somebody outside can answer it once. The token is made before
// the write, and is a result like any other; the table of hooks has its hash, from the same commit.

import { createHash, randomBytes } from 'node:crypto';
import type { Activation } from './activation.ts';
import type { EngineHost } from './host.ts';
import { record, type Recorded, replay, settle, stepPart } from './record.ts';

/**
 * A capability URL: whoever has it can answer the workflow that made it, once, without any other credentials, so hand it
 * only to who shall. A POST to it is the message that `recv` of the topic gets: JSON, a form or text, undefined without
 * a body. A POST to it with `/reject` behind makes that `recv` reject with `HookRejectedError`. A run after a crash has
 * the same one. The database keeps a hash of the token, and the token itself only as this recorded result, which
 * listings of steps leave out. A fork that copied it has the hook of the workflow it came from.
 *
 * @example
 * const hook = await pawl.createHook('approval', { ttl: '7d' });
 * await pawl.runStep(() => mail(manager, `Approve: ${hook.url}`));
 * const approval = await pawl.recv('approval', Infinity);
 */
export interface Hook {
  /** `{baseURL}{hooksPath}/{token}`, as `pawlExpress` or `pawlKoa` of this process were told; else `/hooks/{token}`. */
  readonly url: string;
  /** The secret part of it: 128 random bits, base64url. */
  readonly token: string;
}

export interface HookRequest {
  topic: string;
  /** Milliseconds; null: as long as the workflow runs. */
  ttlMs: number | null;
  urlOf: (token: string) => string;
}

const TOKEN_BYTES = 16;

/** What stands for a token in the database. The token cannot be had back from it. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

export function createHook(host: EngineHost, activation: Activation, request: HookRequest): Promise<Hook> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  const { topic, ttlMs } = request;
  const stepID = activation.takeStepID();
  const row = activation.recorded(stepID, 'createHook', topic);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<Hook>((resolve, reject) => {
    const deliver = (recorded: Recorded) => settle(host, recorded, resolve, reject);
    if (row?.completed) {
      replay(activation, row, deliver);
      return;
    }
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const output = host.codec.encode({ url: request.urlOf(token), token } satisfies Hook);
    record(host, {
      activation,
      stepID,
      step: stepPart({ kind: 'createHook', name: topic, output }),
      hook: { tokenHash: hashToken(token), topic, ttlMs },
      keep: false,
      deliver,
      reject,
    });
  });
}
