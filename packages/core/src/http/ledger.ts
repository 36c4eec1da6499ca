// Owns a Pawl instance's dealings with its idempotency records: batches, deadlines, heartbeats, and what becomes of
// an answer that arrives too late. One ledger per instance, however many apps use it.
// Never sees a request or a response.
import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import { newID } from '../codec/index.ts';
import { DatabaseUnavailableError } from '../errors/index.ts';
import { classifyFault } from '../store/faults.ts';
import {
  type HttpClaim,
  type HttpClaimOutcome,
  type HttpRequests,
  type HttpSettlement,
  type HttpSettleOutcome,
  httpRequests,
} from '../store/http-requests.ts';
import type { Emitter } from '../telemetry/events.ts';
import { type Answer, storedHeaders } from './answer.ts';
import { coalesce } from '../app/coalesce.ts';
import { leaseKeeper } from './lease-keeper.ts';
import { waitingRequests } from './waiting-requests.ts';

/** A request waits this long for its key, then it is told that the database is away. */
const CLAIM_DEADLINE_MS = 2_500;
/** A finished response waits this long to be recorded, then it goes out unrecorded. */
const SETTLE_DEADLINE_MS = 3_000;
/** What could not be recorded in time is tried on in the background, while the lease keeps others away. */
const LATE_SETTLE_TRIES = 40;
const LATE_SETTLE_PAUSE_MS = 3_000;
/** How often a request that waits looks for what another process has settled: as often as anything else is looked for. */
const LOOK_EVERY_MS = 500;
const SWEEP_EVERY_MS = 60_000;
const SWEEP_LIMIT = 500;
/** Once in so many sweeps, what nobody has asked for in a month. */
const SWEEPS_FOR_ABANDONED = 60;
const ABANDONED_MS = 30 * 24 * 60 * 60_000;
/** Past this a batch is held up by something, or the database is far away. With 50 clients a fifth more a second than 0. */
const PATIENCE_MS = 20;
const CLAIM_BATCH = 64;
const SETTLE_BATCH = 16; // records carry bodies

/** What those who watch are told of a claim. */
const OUTCOMES: Record<HttpClaimOutcome['kind'], string> = {
  new: 'new',
  retry: 'retried',
  takeover: 'taken-over',
  running: 'in-flight',
  done: 'replayed',
  mismatch: 'reused',
};

/** A key that is ours to answer. */
export interface Claimed {
  readonly id: string;
  readonly owner: string;
  readonly generation: number;
  readonly attempt: number;
}

export type Ending =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** The answer cannot be given again, and is never made again. */
  | { readonly kind: 'unavailable' }
  /** The same request may try again. */
  | { readonly kind: 'failed' }
  /** Nothing happened. */
  | { readonly kind: 'forgotten' };

export interface Ledger {
  /** @throws DatabaseUnavailableError within three seconds */
  claim(request: {
    id: string;
    fingerprint: string;
    leaseMs: number | null;
    retentionMs: number;
  }): Promise<HttpClaimOutcome & Claimed>;
  settle(claimed: Claimed, ending: Ending, retentionMs: number): Promise<HttpSettleOutcome>;
  /**
   * What a key stands for, without claiming it; undefined if for nothing.
   * @throws DatabaseUnavailableError within three seconds
   */
  look(request: { id: string; fingerprint: string }): Promise<HttpClaimOutcome | undefined>;
  /** Resolves when a key may have been settled: at once where this process does so, else within half a second. */
  settled(id: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Deletes some of what has expired, once in a while. */
  sweepNowAndThen(): void;
}

const ledgers = new WeakMap<Pawl, Ledger>();

export function ledgerOf(pawl: Pawl): Ledger {
  let ledger = ledgers.get(pawl);
  if (ledger === undefined) {
    const inside = internals(pawl);
    ledger = createLedger({
      requests: () => httpRequests(inside.database),
      // What is under way is still recorded while the instance stops.
      ongoing: () => httpRequests(inside.core.runtime?.database ?? inside.database),
      events: inside.events,
      onError: (error) => pawl.logger.warn({ err: error }, 'The idempotency leases could not be renewed'),
    });
    ledgers.set(pawl, ledger);
  }
  return ledger;
}

interface LedgerOptions {
  /** For what is new. */
  readonly requests: () => HttpRequests;
  /** For what has been claimed. */
  readonly ongoing: () => HttpRequests;
  readonly events: Emitter;
  readonly onError: (error: unknown) => void;
}

function createLedger({ requests, ongoing, events, onError }: LedgerOptions): Ledger {
  const mayBeOneItem = (error: unknown): boolean => classifyFault(error) === 'refused';
  const claimOne = coalesce<HttpClaim, HttpClaimOutcome>(
    (claims) => patiently(() => requests().claim(claims)),
    {
      maxItems: CLAIM_BATCH,
      maxInFlight: 2,
      patienceMs: PATIENCE_MS,
      mayBeOneItem,
    },
  );
  const settleOne = coalesce<HttpSettlement, HttpSettleOutcome>(
    (items) => patiently(() => ongoing().settle(items)),
    {
      maxItems: SETTLE_BATCH,
      maxInFlight: 2,
      patienceMs: PATIENCE_MS,
      mayBeOneItem,
    },
  );
  const keeper = leaseKeeper((leases) => ongoing().renew(leases), onError);
  const waiting = waitingRequests();
  let sweptAt = 0;
  let sweeps = 0;

  function sweepNowAndThen(): void {
    if (Date.now() - sweptAt < SWEEP_EVERY_MS) return;
    sweptAt = Date.now();
    const abandoned = sweeps % SWEEPS_FOR_ABANDONED === 0 ? ABANDONED_MS : undefined;
    sweeps += 1;
    requests()
      .sweep(SWEEP_LIMIT, abandoned)
      .catch(() => undefined);
  }

  async function settleLate(settlement: HttpSettlement): Promise<void> {
    for (let tries = 0; tries < LATE_SETTLE_TRIES; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, LATE_SETTLE_PAUSE_MS).unref());
      try {
        await settleOne(settlement);
        break;
      } catch {
        // The database is still away.
      }
    }
    keeper.drop(settlement);
  }

  return {
    sweepNowAndThen,

    async claim({ id, fingerprint, leaseMs, retentionMs }) {
      const owner = newID();
      const claiming = claimOne({ id, fingerprint, owner, leaseMs });
      const outcome = await within(CLAIM_DEADLINE_MS, claiming, () => {
        // It was told that nothing happened: so a claim that succeeds after all is given back, with what is known of
        // earlier attempts. One without a lease is not: others may have joined it meanwhile, and go on with it.
        claiming
          .then((late) =>
            isOurs(late) && leaseMs !== null
              ? settleOne(settlement({ ...late, id, owner }, { kind: 'forgotten' }, retentionMs))
              : null,
          )
          .catch(() => undefined);
      });
      if (isOurs(outcome) && leaseMs !== null) keeper.hold({ id, owner, leaseMs });
      sweepNowAndThen();
      if (events.has('request.keyed')) events.emit('request.keyed', { outcome: OUTCOMES[outcome.kind] });
      return { ...outcome, id, owner };
    },

    async settle(claimed, ending, retentionMs) {
      const item = settlement(claimed, ending, retentionMs);
      const settling = settleOne(item);
      try {
        const outcome = await within(SETTLE_DEADLINE_MS, settling, () => undefined);
        keeper.drop(claimed);
        waiting.tell(claimed.id);
        return outcome;
      } catch (error) {
        settling.then(
          () => {
            keeper.drop(claimed);
            waiting.tell(claimed.id);
          },
          () => void settleLate(item),
        );
        throw error;
      }
    },

    look: ({ id, fingerprint }) =>
      within(CLAIM_DEADLINE_MS, requests().look(id, fingerprint, newID()), () => undefined),
    settled: (id, timeoutMs, signal) => waiting.wait(id, Math.min(timeoutMs, LOOK_EVERY_MS), signal),
  };
}

function isOurs(outcome: HttpClaimOutcome): boolean {
  return outcome.kind === 'new' || outcome.kind === 'retry' || outcome.kind === 'takeover';
}

function settlement(claimed: Claimed, ending: Ending, retentionMs: number): HttpSettlement {
  const { id, owner, generation, attempt } = claimed;
  const answer = ending.kind === 'answer' ? ending.answer : undefined;
  return {
    id,
    owner,
    generation,
    attempt,
    retentionMs,
    state: ending.kind === 'answer' || ending.kind === 'unavailable' ? 'done' : ending.kind,
    status: answer?.status ?? null,
    headers: answer === undefined ? null : storedHeaders(answer),
    body: answer?.body ?? null,
  };
}

/** A serialization failure or a deadlock asks for the same call again. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      const fault = classifyFault(error);
      if (tries >= 4 || (fault !== 'conflict' && fault !== 'locked')) throw error;
    }
  }
}

/** @throws DatabaseUnavailableError when the time is over */
export function within<T>(ms: number, promise: Promise<T>, onLate: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      onLate();
      reject(new DatabaseUnavailableError('The database did not answer in time.'));
    }, ms);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        const away = classifyFault(error) === 'connection';
        reject(
          away
            ? new DatabaseUnavailableError('The database cannot be reached.', { cause: error })
            : (error as Error),
        );
      },
    );
  });
}
