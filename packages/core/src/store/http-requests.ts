// Owns the SQL of the idempotency records: claim, renew, settle, sweep (sql/0003_http.sql). Batches in, batches out.
// Never decides what is worth recording, and knows nothing of HTTP beyond a status, headers as text, and bytes.
import { plainArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';

/** A request that asks for its key. `leaseMs: null`: its answer comes from a workflow and is never taken over. */
export interface HttpClaim {
  readonly id: string;
  readonly fingerprint: string;
  /** Made anew by each request, so that a claim whose answer was lost recognizes itself. */
  readonly owner: string;
  readonly leaseMs: number | null;
}

/** The stored response; `status: null` when it could not be kept. */
export interface HttpRecord {
  readonly status: number | null;
  readonly headers: string | null;
  readonly body: Uint8Array | null;
  readonly completedAt: number;
}

interface Life {
  /** Counts the claims of this life of the key; also the fence. */
  readonly attempt: number;
  /** Names this life of the key. */
  readonly generation: number;
}

export type HttpClaimOutcome = Life &
  (
    | { readonly kind: 'new' | 'retry' | 'takeover' | 'running' | 'mismatch' }
    | { readonly kind: 'done'; readonly record: HttpRecord }
  );

/** What became of an attempt. `forgotten`: nothing happened, the key is as new. */
export interface HttpSettlement {
  readonly id: string;
  readonly owner: string;
  readonly generation: number;
  readonly attempt: number;
  readonly state: 'done' | 'failed' | 'forgotten';
  readonly retentionMs: number;
  readonly status: number | null;
  readonly headers: string | null;
  readonly body: Uint8Array | null;
}

export type HttpSettleOutcome =
  | { readonly kind: 'stored' | 'superseded' | 'missing' }
  | { readonly kind: 'done'; readonly record: HttpRecord };

export interface HttpLease {
  readonly id: string;
  readonly owner: string;
  readonly leaseMs: number;
}

/** The records of one schema. Answers come in the order of the arguments. */
export interface HttpRequests {
  claim(claims: readonly HttpClaim[]): Promise<HttpClaimOutcome[]>;
  /** What a claim would be told, for a key that is taken; claims nothing. `nonce` as the owner of a claim. */
  look(id: string, fingerprint: string, nonce: string): Promise<HttpClaimOutcome | undefined>;
  /** Gives the ids that are no longer held. */
  renew(leases: readonly HttpLease[]): Promise<string[]>;
  settle(settlements: readonly HttpSettlement[]): Promise<HttpSettleOutcome[]>;
  /**
   * Deletes expired records, at most `limit`, and says how many. With `abandonedMs` also those that ran until so long ago
   * and that nobody has asked for since.
   */
  sweep(limit: number, abandonedMs?: number): Promise<number>;
}

interface OutcomeRow {
  item: number;
  outcome: string;
  attempt: number | null;
  generation: number | null;
  status: number | null;
  headers: string | null;
  body: Uint8Array | null;
  completed_at: number | null;
}

/** By name: a statement that was prepared must go on as it is when a later version adds one. */
const COLUMNS = 'item, outcome, attempt, generation, status, headers, body, completed_at';

export function httpRequests(database: Database): HttpRequests {
  return {
    async claim(claims) {
      const { items, order } = sorted(claims);
      const { rows } = await database.query<OutcomeRow>(
        `SELECT ${COLUMNS} FROM pawl.http_claim($1::text[], $2::text[], $3::text[], $4::float8[])`,
        [
          textArray(items.map((claim) => claim.id)),
          textArray(items.map((claim) => claim.fingerprint)),
          textArray(items.map((claim) => claim.owner)),
          plainArray(items.map((claim) => claim.leaseMs)),
        ],
        'pawl_http_claim',
      );
      return restored(rows, order, claimOutcome);
    },

    async look(id, fingerprint, nonce) {
      const { rows } = await database.query<OutcomeRow>('SELECT * FROM pawl.http_look($1, $2, $3)', [
        id,
        fingerprint,
        nonce,
      ]);
      return rows[0] && claimOutcome(rows[0]);
    },

    async renew(leases) {
      const { items } = sorted(leases);
      const { rows } = await database.query<{ id: string }>(
        'SELECT id FROM pawl.http_renew($1::text[], $2::text[], $3::float8[]) AS lost(id)',
        [
          textArray(items.map((lease) => lease.id)),
          textArray(items.map((lease) => lease.owner)),
          plainArray(items.map((lease) => lease.leaseMs)),
        ],
      );
      return rows.map((row) => row.id);
    },

    async settle(settlements) {
      const { items, order } = sorted(settlements);
      const { rows } = await database.query<OutcomeRow>(
        `SELECT ${COLUMNS} FROM pawl.http_settle($1::text[], $2::text[], $3::float8[], $4::integer[], $5::text[], $6::float8[],
          $7::integer[], $8::text[], $9::integer[], $10::bytea)`,
        [
          textArray(items.map((item) => item.id)),
          textArray(items.map((item) => item.owner)),
          plainArray(items.map((item) => item.generation)),
          plainArray(items.map((item) => item.attempt)),
          textArray(items.map((item) => item.state)),
          plainArray(items.map((item) => item.retentionMs)),
          plainArray(items.map((item) => item.status)),
          textArray(items.map((item) => item.headers)),
          plainArray(items.map((item) => item.body?.byteLength ?? null)),
          Buffer.concat(items.flatMap((item) => item.body ?? [])),
        ],
        'pawl_http_settle',
      );
      return restored(rows, order, settleOutcome);
    },

    async sweep(limit, abandonedMs) {
      const { rows } = await database.query<{ count: number }>('SELECT pawl.http_sweep($1, $2) AS count', [
        limit,
        abandonedMs ?? null,
      ]);
      return rows[0]?.count ?? 0;
    },
  };
}

/** Locks are taken in the order of the ids, so that two batches never wait for each other in a circle. */
function sorted<T extends { readonly id: string }>(given: readonly T[]): { items: T[]; order: number[] } {
  const order = given.map((_, index) => index);
  const id = (index: number): string => (given[index] as T).id;
  order.sort((a, b) => (id(a) < id(b) ? -1 : id(a) > id(b) ? 1 : a - b));
  return { items: order.map((index) => given[index] as T), order };
}

function restored<T>(
  rows: readonly OutcomeRow[],
  order: readonly number[],
  read: (row: OutcomeRow) => T,
): T[] {
  const answers = new Array<T>(order.length);
  for (const row of rows) answers[order[row.item] as number] = read(row);
  return answers;
}

function claimOutcome(row: OutcomeRow): HttpClaimOutcome {
  const life = { attempt: row.attempt ?? 1, generation: row.generation ?? 0 };
  switch (row.outcome) {
    case 'new':
    case 'retry':
    case 'takeover':
    case 'running':
    case 'mismatch':
      return { ...life, kind: row.outcome };
    case 'failed':
      return { ...life, kind: 'retry' };
    case 'done':
      return { ...life, kind: 'done', record: record(row) };
    default:
      throw new Error(`http_claim answered ${row.outcome}`);
  }
}

function settleOutcome(row: OutcomeRow): HttpSettleOutcome {
  switch (row.outcome) {
    case 'stored':
    case 'superseded':
    case 'missing':
      return { kind: row.outcome };
    case 'done':
      return { kind: 'done', record: record(row) };
    default:
      throw new Error(`http_settle answered ${row.outcome}`);
  }
}

function record(row: OutcomeRow): HttpRecord {
  return { status: row.status, headers: row.headers, body: row.body, completedAt: row.completed_at ?? 0 };
}
