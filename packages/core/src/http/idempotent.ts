// Owns the mode that wraps an existing handler: its response is recorded, and given again when the key comes again.
// Never runs the handler itself: it says whether to, and an adapter calls it inside `attempt.run`.
import type { ServerResponse } from 'node:http';
import { answerOfRecord, type Answer, replyOf, withoutEncoding } from './answer.ts';
import { bodyOf, identify, keyed, keyOf, reused, unavailableAnswer } from './admission.ts';
import { derivedWorkflowID } from './digest.ts';
import { closedSignal, type Exchange, headerValues, type Reply } from './exchange.ts';
import type { HttpContext } from './http-context.ts';
import type { Claimed, Ending } from './ledger.ts';
import {
  type IdempotencyOptions,
  type IdempotencySettings,
  idempotencySettings,
  isStorableByDefault,
} from './options.ts';
import { parsePrefer } from './prefer.ts';
import { captureResponse, type ResponseCapture } from './response-capture.ts';

/** One run of the handler under its key. */
export interface Attempt {
  /** Runs the rest of the request so that the workflows it starts have ids derived from the key. */
  run<T>(rest: () => T): T;
  /** Holds what is written to the response back until it is recorded. */
  capture(response: ServerResponse): ResponseCapture;
  /** Records an answer that was seen before it reached the response. False: it is not stored. */
  record(answer: Answer): Promise<boolean>;
  /** The handler failed, and there will be no response that says so. */
  fail(): Promise<void>;
}

export type Admission =
  | { readonly kind: 'pass' }
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'run'; readonly attempt: Attempt };

const WAIT_SECONDS = 10;
const MAX_WAIT_SECONDS = 60;

export function idempotent<Req>(
  http: HttpContext<Req>,
  options: IdempotencyOptions<Req>,
): (exchange: Exchange<Req>) => Promise<Admission> {
  const settings = idempotencySettings(http.defaults, options);

  return async (exchange) => {
    const given = keyOf(http, exchange, settings);
    if (given.kind === 'none') return { kind: 'pass' };
    if (given.kind === 'refused') return { kind: 'reply', reply: given.reply };
    const identified = await identify(http, exchange, settings, given.key);
    if (identified.kind === 'refused') return { kind: 'reply', reply: identified.reply };
    const read = await bodyOf(http, exchange, settings.maxBodyBytes);
    if (read.kind === 'refused') return { kind: 'reply', reply: read.reply };
    const request = keyed(exchange, settings, { key: given.key, id: identified.id, body: read.body });
    try {
      const outcome = await claimOrWait(http, exchange, settings, request);
      const workflowID = derivedWorkflowID(outcome.id, outcome.generation);
      switch (outcome.kind) {
        case 'mismatch':
          return { kind: 'reply', reply: reused(http, exchange) };
        case 'running':
          return { kind: 'reply', reply: inFlight(http, exchange, workflowID) };
        case 'done': {
          const answer = answerOfRecord(outcome.record);
          const marks = { 'Idempotent-Replayed': 'true' };
          const reply =
            answer === undefined ? unavailableAnswer(http, exchange, workflowID) : replyOf(answer, marks);
          return { kind: 'reply', reply };
        }
        case 'new':
        case 'retry':
        case 'takeover':
          exchange.setIdempotency({ key: given.key, workflowID, attempt: outcome.attempt });
          return { kind: 'run', attempt: attemptOf(http, settings, outcome, workflowID) };
      }
    } catch (error) {
      const reply = http.unavailable(exchange, error);
      if (reply === undefined) throw error;
      return { kind: 'reply', reply };
    }
  };
}

async function claimOrWait<Req>(
  http: HttpContext<Req>,
  exchange: Exchange<Req>,
  settings: IdempotencySettings<Req>,
  request: { id: string; fingerprint: string },
) {
  const { leaseMs, retentionMs } = settings;
  const claim = { ...request, leaseMs, retentionMs };
  let outcome = await http.ledger.claim(claim);
  if (settings.inFlight !== 'wait' || outcome.kind !== 'running') return outcome;
  const wanted = parsePrefer(headerValues(exchange.incoming, 'prefer')).wait ?? WAIT_SECONDS;
  const until = performance.now() + Math.min(wanted, MAX_WAIT_SECONDS) * 1_000;
  const gone = closedSignal(exchange);
  while (outcome.kind === 'running' && !gone.aborted) {
    const left = until - performance.now();
    if (left <= 0) break;
    await http.ledger.settled(claim.id, left, gone);
    outcome = await http.ledger.claim(claim);
  }
  return outcome;
}

function inFlight<Req>(http: HttpContext<Req>, exchange: Exchange<Req>, workflowID: string): Reply {
  return http.problem(exchange, {
    status: 409,
    code: 'request-in-flight',
    detail: 'The same request is still being worked on. Send it again in a moment.',
    retryable: true,
    workflowID,
    headers: { 'Retry-After': '1' },
  });
}

function attemptOf<Req>(
  http: HttpContext<Req>,
  settings: IdempotencySettings<Req>,
  claimed: Claimed,
  workflowID: string,
): Attempt {
  let ended = false;

  async function settle(ending: Ending): Promise<boolean> {
    if (ended) return false;
    ended = true;
    const outcome = await http.ledger.settle(claimed, ending, settings.retentionMs);
    return outcome.kind === 'stored';
  }

  /** The work is done by now: a fault in the user's function must not have it done again. */
  function isStorable(status: number): boolean {
    try {
      return settings.storable({ status });
    } catch (error) {
      http.pawl.logger.error({ err: error }, 'The storable option of an idempotent route failed');
      return isStorableByDefault({ status });
    }
  }

  async function record(answer: Answer): Promise<boolean> {
    if (!isStorable(answer.status)) {
      await settle({ kind: 'failed' });
      return true;
    }
    const plain = await withoutEncoding(answer, settings.maxStoredBytes);
    if (plain === undefined || plain.body.byteLength > settings.maxStoredBytes) {
      await settle({ kind: 'unavailable' });
      return false;
    }
    return settle({ kind: 'answer', answer: plain });
  }

  return {
    run: (rest) => http.withDerivedWorkflowIDs(workflowID, rest),
    record,
    capture: (response) =>
      captureResponse(response, {
        maxBytes: settings.maxStoredBytes,
        onAnswer: record,
        onLive: async (status) =>
          void (await settle({ kind: isStorable(status) ? 'unavailable' : 'failed' })),
      }),
    fail: async () => {
      await settle({ kind: 'failed' }).catch(() => undefined);
    },
  };
}
