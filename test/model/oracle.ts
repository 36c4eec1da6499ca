// The oracle: from the answers of the statements, in the order in which they were sent and committed, it knows what
// must be there. It sees every answer, also those that no executor got. Knows nothing of SQL.
import type { ClaimedWorkflow, Owned } from '../../packages/core/src/store/lifecycle.ts';
import type { Answer, MessagePart } from '../../packages/core/src/store/operations.ts';
import type { Call } from './world.ts';

/** When a statement was sent, and when its commit was known: one that was sent after another's commit came after it. */
export interface Span {
  sent: number;
  done: number;
  /** When it was sent first, if this is not the first time. */
  first?: number;
  /** In whose name. */
  executor?: number;
}

export class Violation extends Error {
  override name = 'Violation';
}

export function violated(what: string): never {
  throw new Violation(what);
}

/** A workflow from its start until it is forgotten: an id may have several of these. */
export const lifeOf = (id: string, nonce: string): string => `${id} (${nonce})`;

export interface Claim {
  life: string;
  id: string;
  fence: number;
  journal: ReadonlyMap<number, { completed: boolean; value: string }>;
}

interface Happened extends Span {
  value: string;
}

export interface Sent {
  destination: string;
  topic: string;
  body: string;
  /** Of the first time that it was sent, and of the first acknowledgement. */
  sent: number;
  done: number;
}

interface Look {
  life: string;
  id: string;
  stepID: number;
  topic: string;
  sent: number;
}

export const valueOf = (record: {
  output: string | null;
  error?: string | null;
  outcome?: string | null;
}): string => JSON.stringify([record.output, record.error ?? null, record.outcome ?? null]);

export class Oracle {
  /** What was reported, by life and step. */
  readonly reported = new Map<string, Map<number, string>>();
  readonly claims: Claim[] = [];
  readonly messages = new Map<string, Sent>();
  /** Looks for messages that found none. */
  readonly misses: Look[] = [];
  readonly ends = new Map<string, string>();
  readonly forgotten: (Span & { id: string })[] = [];
  /** Deleted by statements whose answers come at the same moment. */
  deleting: ReadonlySet<string> = new Set();
  readonly #endedAt = new Map<string, number>();
  readonly #fences = new Map<string, { fence: number; done: number; why: string }[]>();
  readonly #events = new Map<string, Happened[]>();
  readonly #missedAt = new Map<string, number>();
  readonly #owners = new Map<string, Set<number>>();
  readonly #gone = new Set<number>();
  readonly #sentAt = new Map<string, number>();
  readonly #invalid = new Set<string>();
  readonly #cancelled = new Map<string, number>();
  readonly #closed = new Set<string>();

  /** The record of a step, by whoever tells: all tell the same. */
  report(life: string, stepID: number, value: string): void {
    if (this.#closed.has(life)) return;
    let steps = this.reported.get(life);
    if (steps === undefined) this.reported.set(life, (steps = new Map()));
    const known = steps.get(stepID);
    if (known === undefined) steps.set(stepID, value);
    else if (known !== value)
      violated(`step ${stepID} of ${life} was reported as ${known}, and now as ${value}`);
  }

  started(id: string, { executor }: Span): void {
    if (executor !== undefined) this.#owned(id, executor);
  }

  claimed(workflow: ClaimedWorkflow, executor: number, done: number): void {
    const { workflowID: id, nonce, fence, attempts } = workflow;
    const life = lifeOf(id, nonce);
    this.#owned(id, executor);
    if (this.#closed.has(life)) return;
    const journal = new Map<number, { completed: boolean; value: string }>();
    for (const row of workflow.journal) {
      journal.set(row.stepID, { completed: row.completed, value: valueOf(row) });
      if (row.completed) this.report(life, row.stepID, valueOf(row));
    }
    this.claims.push({ life, id, fence, journal });
    this.passed(life, fence, done, 'claimed');
    const deaths = [...(this.#owners.get(id) ?? [])].filter((owner) => this.#gone.has(owner)).length;
    if (attempts > deaths)
      violated(`${life} counts ${attempts} attempts after ${deaths} deaths of its owners`);
  }

  /** From here on no fence below this one may write. */
  passed(life: string, fence: number, done: number, why: string): void {
    const list = this.#fences.get(life) ?? [];
    list.push({ fence, done, why });
    this.#fences.set(life, list);
  }

  /** From here on nothing of this fence is written, but what is kept. */
  cancelled(owned: readonly Owned[], done: number): void {
    for (const { workflowID, fence } of owned)
      this.#cancelled.set(
        `${workflowID} ${fence}`,
        Math.min(done, this.#cancelled.get(`${workflowID} ${fence}`) ?? done),
      );
  }

  declaredGone(executor: number): void {
    this.#gone.add(executor);
  }

  /** An operation that says it was written just now, not by an earlier run of itself. */
  wrote(life: string, id: string, fence: number, span: Span, what: string): void {
    if (this.#closed.has(life)) return;
    if ((this.#cancelled.get(`${id} ${fence}`) ?? Infinity) < (span.first ?? span.sent))
      violated(`${what} was written after ${life} was cancelled`);
    for (const limit of this.#fences.get(life) ?? [])
      if (limit.fence > fence && limit.done < (span.first ?? span.sent))
        violated(`${what} under fence ${fence} was written after ${life} was ${limit.why} (${limit.fence})`);
  }

  sending({ destination, id }: MessagePart, sent: number): void {
    const key = `${destination} ${id}`;
    if (!this.#sentAt.has(key)) this.#sentAt.set(key, sent);
  }

  message(part: MessagePart, span: Span): void {
    const { destination, topic } = part;
    const key = `${destination} ${part.id}`;
    const sent = this.#sentAt.get(key) ?? span.sent;
    if (!this.messages.has(key))
      this.messages.set(key, { destination, topic, body: part.body ?? '', sent, done: span.done });
  }

  event(id: string, key: string, value: string, span: Span): void {
    const list = this.#events.get(`${id} ${key}`) ?? [];
    if (!list.some((each) => each.value === value)) list.push({ value, ...span });
    this.#events.set(`${id} ${key}`, list);
  }

  forgot(id: string, span: Span): void {
    this.#endedAt.delete(id);
    this.forgotten.push({ id, ...span });
    // A start whose answer was lost may come again, under the same nonce, and is another life.
    for (const lives of [this.reported, this.#fences])
      for (const life of lives.keys()) if (life.startsWith(`${id} (`)) this.#closed.add(life);
    for (const key of this.#cancelled.keys()) if (key.startsWith(`${id} `)) this.#cancelled.delete(key);
    // What was awaited of it may never come; what it had set is gone.
    for (const key of this.#events.keys()) if (key.startsWith(`${id} `)) this.#invalid.add(key);
  }

  /** A look for an event: what it says is not older than what was there when it was sent. */
  looked(life: string, stepID: number, of: string, key: string, answer: Answer, span: Span): void {
    const name = `${of} ${key}`;
    if (this.#invalid.has(name) || this.deleting.has(of)) return;
    const sets = this.#events.get(name) ?? [];
    const step = `${life} ${stepID}`;
    if (answer.outcome === 'wait') {
      const missed = sets.find((each) => each.done < span.sent);
      if (missed !== undefined)
        violated(`${life} did not see ${missed.value}, which ${name} was set to before`);
      this.#missedAt.set(step, Math.max(this.#missedAt.get(step) ?? 0, span.sent));
      return;
    }
    if (answer.outcome !== 'value' || answer.detail !== null) return;
    const since = this.#missedAt.get(step);
    if (since === undefined) return;
    const value = sets.find((each) => each.value === answer.output);
    const newer = sets.find((each) => each.done < since && value !== undefined && value.done < each.sent);
    if (newer !== undefined) violated(`${life} got ${answer.output} of ${name} after ${newer.value} was set`);
  }

  missedMessage(life: string, id: string, stepID: number, topic: string, sent: number): void {
    this.misses.push({ life, id, stepID, topic, sent });
  }

  /** Nothing that is known of it holds any more. */
  closed(life: string): boolean {
    return this.#closed.has(life);
  }

  /** A park that was sent after what it waits for was there has looked past it. */
  parked(life: string, call: Call, sent: number): void {
    if (call.kind === 'getResult' && (this.#endedAt.get(call.of) ?? Infinity) < sent)
      violated(`${life} was parked for the result of ${call.of}, which was there`);
    if (call.kind !== 'getEvent' || this.#invalid.has(`${call.of} ${call.key}`)) return;
    const sets = this.#events.get(`${call.of} ${call.key}`) ?? [];
    if (sets.some((each) => each.done < sent))
      violated(`${life} was parked for ${call.key} of ${call.of}, which was set`);
  }

  ended(life: string, id: string, output: string, done: number): void {
    if (this.#closed.has(life)) return;
    this.#endedAt.set(id, Math.min(done, this.#endedAt.get(id) ?? done));
    const known = this.ends.get(life);
    if (known !== undefined && known !== output)
      violated(`${life} ended twice, with ${known} and with ${output}`);
    this.ends.set(life, output);
  }

  #owned(id: string, executor: number): void {
    const owners = this.#owners.get(id) ?? new Set();
    owners.add(executor);
    this.#owners.set(id, owners);
  }
}
