// Owns the shorter way of an endpoint's answer: made as soon as the body is through, and recorded by the very write that
// ends the workflow, while the request that started it waits. Whatever does not fit goes the usual way, after the end.
import { internals } from '../app/internals.ts';
import type { Codec } from '../codec/index.ts';
import type { EndingRequest } from '../engine/host.ts';
import type { AnswerPart, EndPart } from '../store/operations.ts';
import { answerOfReply, storedHeaders } from './answer.ts';
import type { Reply } from './exchange.ts';
import type { HttpContext } from './http-context.ts';
import type { Claimed } from './ledger.ts';
import { replyOfRoute, replyOfValue, type RouteReply } from './outcome.ts';

/** A record goes with what other workflows write, as text. */
const MAX_BYTES = 16 * 1024;

export interface AnswerWithEndOptions {
  claimed: Claimed;
  workflowID: string;
  retentionMs: number;
  maxBytes: number;
  /** The app's own, if it has one. */
  reply: ((value: unknown) => RouteReply | Promise<RouteReply>) | undefined;
  /** It takes its time, which no end of a workflow waits for. */
  onPromise: () => void;
}

/** Until the request waits no longer (`leave`). */
export function answerWithEnd<Req>(http: HttpContext<Req>, options: AnswerWithEndOptions): AnswerWithEnd {
  const { codec, runtime } = internals(http.pawl);
  return new AnswerWithEnd(runtime.engine.endingRequests, options.workflowID, (end) =>
    make(codec, options, end),
  );
}

interface Made {
  readonly reply: Reply;
  readonly part: AnswerPart;
}

/**
 * Others hold it for longer than the request is under way: the write of the end, and what is left of a Map that has made
 * itself a new table. Through it they must not hold the request, or the garbage collector moves each of them around.
 */
export class AnswerWithEnd implements EndingRequest {
  readonly #requests: Map<string, EndingRequest>;
  readonly #workflowID: string;
  #answer: Promise<AnswerPart | undefined> | undefined;
  #resolve: ((end: EndPart) => void) | undefined;
  #reply: Reply | undefined;
  #isDurable = false;
  isRecorded = false;

  constructor(
    requests: Map<string, EndingRequest>,
    workflowID: string,
    answerOf: (end: EndPart) => Made | undefined,
  ) {
    this.#requests = requests;
    this.#workflowID = workflowID;
    // What follows is part of the request, as the app's function has to be, and not of the workflow that ends.
    this.#answer = new Promise<EndPart>((resolve) => (this.#resolve = resolve)).then((end) => {
      try {
        const made = answerOf(end);
        this.#reply = made?.reply;
        return made?.part;
      } catch {
        // The request meets the same error when it makes its answer.
        return undefined;
      }
    });
    requests.set(workflowID, this);
  }

  async answer(end: EndPart): Promise<AnswerPart | undefined> {
    this.#resolve?.(end);
    return this.#answer;
  }

  durable(recorded: boolean): void {
    this.#isDurable = true;
    this.isRecorded = recorded;
  }

  /** What was made of the end, once that is durable: it may be recorded even where nobody could say so. */
  get reply(): Reply | undefined {
    return this.#isDurable ? this.#reply : undefined;
  }

  leave(): void {
    if (this.#requests.get(this.#workflowID) === this) this.#requests.delete(this.#workflowID);
    this.#answer = undefined;
    this.#resolve = undefined;
  }
}

function make(codec: Codec, options: AnswerWithEndOptions, end: EndPart): Made | undefined {
  if (end.status !== 'SUCCESS') return undefined;
  const value = codec.decode(end.output);
  const given = options.reply?.(value);
  if (typeof (given as { then?: unknown } | undefined)?.then === 'function') {
    // A query of some client begins when it is awaited: that is for the request.
    if (given instanceof Promise) given.catch(() => undefined);
    options.onPromise();
    return undefined;
  }
  const reply = options.reply === undefined ? replyOfValue(value) : replyOfRoute(given as RouteReply);
  const answer = answerOfReply(reply);
  const { status, body } = answer;
  if (body.byteLength > Math.min(MAX_BYTES, options.maxBytes) || !isStatus(status)) return undefined;
  const { id, owner, generation, attempt } = options.claimed;
  const part = {
    ...{ id, owner, generation, attempt, retentionMs: options.retentionMs, status },
    headers: storedHeaders(answer),
    body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('hex'),
  };
  return { reply, part };
}

function isStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 100 && status <= 999;
}
