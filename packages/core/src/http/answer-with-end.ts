// Owns the shorter way of an endpoint's answer: made as soon as the body is through, and recorded by the very write that
// ends the workflow, while the request that started it waits. Whatever does not fit goes the usual way, after the end.
import { internals } from '../app/internals.ts';
import type { AnswerPart, EndPart } from '../store/operations.ts';
import { type Answer, answerOfReply, storedHeaders } from './answer.ts';
import type { Reply } from './exchange.ts';
import type { HttpContext } from './http-context.ts';
import type { Claimed } from './ledger.ts';
import { replyOfRoute, replyOfValue, type RouteReply } from './outcome.ts';

/** A record goes with what other workflows write, as text. */
const MAX_BYTES = 16 * 1024;

export interface AnswerWithEnd {
  /** What was recorded with the end, once both are durable. */
  recorded(): Reply | undefined;
  /** The request waits no longer. */
  leave(): void;
}

export function answerWithEnd<Req>(
  http: HttpContext<Req>,
  options: {
    claimed: Claimed;
    workflowID: string;
    retentionMs: number;
    maxBytes: number;
    /** The app's own, if it has one. */
    reply: ((value: unknown) => RouteReply | Promise<RouteReply>) | undefined;
    /** It takes its time, which no end of a workflow waits for. */
    onPromise: () => void;
  },
): AnswerWithEnd {
  const { claimed, workflowID, retentionMs, reply } = options;
  const { codec, runtime } = internals(http.pawl);
  const requests = runtime.engine.endingRequests;
  const maxBytes = Math.min(MAX_BYTES, options.maxBytes);
  let made: Reply | undefined;
  let isRecorded = false;

  function make(end: EndPart): AnswerPart | undefined {
    if (end.status !== 'SUCCESS') return undefined;
    const value = codec.decode(end.output);
    if (reply === undefined) made = replyOfValue(value);
    else {
      const given = reply(value);
      if (given instanceof Promise) {
        given.catch(() => undefined);
        options.onPromise();
        return undefined;
      }
      made = replyOfRoute(given);
    }
    const answer = answerOfReply(made);
    if (answer.body.byteLength > maxBytes || !hasValidStatus(answer)) return undefined;
    const { id, owner, generation, attempt } = claimed;
    const { status, body } = answer;
    return {
      ...{ id, owner, generation, attempt, retentionMs, status },
      headers: storedHeaders(answer),
      body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('hex'),
    };
  }

  let resolve: (end: EndPart) => void;
  // What follows is part of the request, as the app's function has to be, and not of the workflow that ends.
  const answer = new Promise<EndPart>((resolveEnd) => (resolve = resolveEnd)).then((end) => {
    try {
      return make(end);
    } catch {
      // The request meets the same error when it makes its answer.
      return undefined;
    }
  });
  const request = {
    answer: (end: EndPart): Promise<AnswerPart | undefined> => {
      resolve(end);
      return answer;
    },
    recorded: () => {
      isRecorded = true;
    },
  };
  requests.set(workflowID, request);
  return {
    recorded: () => (isRecorded ? made : undefined),
    leave: () => {
      if (requests.get(workflowID) === request) requests.delete(workflowID);
    },
  };
}

function hasValidStatus({ status }: Answer): boolean {
  return Number.isInteger(status) && status >= 100 && status <= 999;
}
