// Owns the mode in which the route is the workflow: a key stands for one workflow, the response is its outcome.
// Never runs anything itself: after a crash the workflow goes on elsewhere, and the next try joins it.
import type { EventKey } from '../app/topics.ts';
import type { WorkflowHandle } from '../app/handles.ts';
import type { Workflow } from '../app/workflows.ts';
import { newID } from '../codec/index.ts';
import { ValidationError } from '../errors/index.ts';
import type { HttpClaimOutcome } from '../store/http-requests.ts';
import {
  bodyOf,
  identify,
  type Keyed,
  keyed,
  keyOf,
  type ReadBody,
  reused,
  unavailableAnswer,
} from './admission.ts';
import { answerOfRecord, answerOfReply, replyOf } from './answer.ts';
import { derivedWorkflowID } from './digest.ts';
import { type InputOption, invalidInput, type Prepared, prepareInput } from './endpoint-input.ts';
import { type Exchange, headerValues, type Reply } from './exchange.ts';
import { type AnswerWithEnd, answerWithEnd } from './answer-with-end.ts';
import { askApp, type HttpContext } from './http-context.ts';
import type { Claimed } from './ledger.ts';
import { type IdempotencyOptions, idempotencySettings } from './options.ts';
import { problemOfError, replyOfRoute, replyOfValue, type RouteReply } from './outcome.ts';
import { parsePrefer, type Preferences } from './prefer.ts';
import { awaitOutcome, type Outcome } from './workflow-outcome.ts';

export interface EndpointOptions<Req, Input, Value> extends IdempotencyOptions<Req> {
  /**
   * The workflow's argument: a schema for the request's JSON body, or a function of the request. Default: the body as it
   * is; a request without one is then refused with 400, unless the workflow's function takes no argument. Asked on every
   * try, before the key is used up, so it must not do anything.
   */
  readonly input?: InputOption<Req, Input>;
  /** Answer as soon as the workflow has set this event, with the event's value, instead of at the workflow's end. */
  readonly event?: string | EventKey<Value> | undefined;
  /** The response for a value; default 200 with the value as JSON. Must depend on its arguments alone; may be asked twice. */
  readonly reply?: ((value: Value, req: Req) => RouteReply | Promise<RouteReply>) | undefined;
  /** The response for the error that ended the workflow; undefined for the default one. */
  readonly replyError?:
    | ((error: unknown, req: Req) => RouteReply | undefined | Promise<RouteReply | undefined>)
    | undefined;
  /** How long a request waits for the outcome; default 10. */
  readonly waitSeconds?: number | undefined;
  /** Honour `Prefer: respond-async` and `Prefer: wait`; default true. */
  readonly prefer?: boolean | undefined;
}

const WAIT_SECONDS = 10;
const MAX_WAIT_SECONDS = 60;

export function endpoint<Req, A extends unknown[], R, Value = R>(
  http: HttpContext<Req>,
  workflow: Workflow<A, R>,
  options: EndpointOptions<Req, A[0], Value>,
): (exchange: Exchange<Req>) => Promise<Reply> {
  const settings = idempotencySettings(http.defaults, options);
  let isReplyAsync = false;

  /** One request under way: its workflow, and the claim if it has a key. */
  interface Run {
    readonly workflowID: string;
    readonly claimed: (Claimed & { readonly kind: 'new' | 'running' }) | undefined;
  }

  return async (exchange) => {
    const given = keyOf(http, exchange, settings);
    if (given.kind === 'refused') return given.reply;
    const identified = given.kind === 'key' ? await identify(http, exchange, settings, given.key) : undefined;
    if (identified?.kind === 'refused') return identified.reply;
    const read = await bodyOf(http, exchange, settings.maxBodyBytes);
    if (read.kind === 'refused') return read.reply;

    if (given.kind === 'none' || identified === undefined) {
      const workflowID = newID();
      exchange.setIdempotency({ key: undefined, workflowID, attempt: 1 });
      const input = await inputOf(exchange, read.body);
      if (input.kind === 'refused') return input.reply;
      return outcomeOf(exchange, { workflowID, claimed: undefined }, input.value);
    }
    const request = keyed(exchange, settings, { key: given.key, id: identified.id, body: read.body });
    try {
      return await answerKeyed(exchange, request, read.body);
    } catch (error) {
      const reply = http.unavailable(exchange, error, 'nothing');
      if (reply === undefined) throw error;
      return reply;
    }
  };

  function inputOf(exchange: Exchange<Req>, body: ReadBody): Promise<Prepared<A[0] | undefined>> {
    return prepareInput(http, workflow, options.input, exchange, body);
  }

  async function answerKeyed(exchange: Exchange<Req>, request: Keyed, body: ReadBody): Promise<Reply> {
    let input: Prepared<A[0] | undefined>;
    try {
      input = await inputOf(exchange, body);
    } catch (error) {
      const earlier = await earlierAnswer(exchange, request);
      if (earlier !== undefined) return earlier;
      throw error;
    }
    if (input.kind === 'refused') return (await earlierAnswer(exchange, request)) ?? input.reply;

    const outcome = await http.ledger.claim({
      ...request,
      leaseMs: null,
      retentionMs: settings.retentionMs,
    });
    const workflowID = derivedWorkflowID(outcome.id, outcome.generation);
    exchange.setIdempotency({ key: request.key, workflowID, attempt: outcome.attempt });
    const known = answerOfClaim(exchange, outcome, workflowID);
    if (known !== undefined) return known;
    const kind = outcome.kind === 'running' ? 'running' : 'new';
    return outcomeOf(exchange, { workflowID, claimed: { ...outcome, kind } }, input.value);
  }

  /**
   * What is valid may change between two tries (a date that must lie ahead), what a key stands for may not. So where
   * the input is refused, the key is looked at all the same; and only then, since a valid one looks when it claims.
   */
  async function earlierAnswer(exchange: Exchange<Req>, request: Keyed): Promise<Reply | undefined> {
    const found = await http.ledger.look(request);
    return found && answerOfClaim(exchange, found, derivedWorkflowID(request.id, found.generation));
  }

  function answerOfClaim(
    exchange: Exchange<Req>,
    outcome: HttpClaimOutcome,
    workflowID: string,
  ): Reply | undefined {
    if (outcome.kind === 'mismatch') return reused(http, exchange);
    if (outcome.kind !== 'done') return undefined;
    const recorded = answerOfRecord(outcome.record);
    if (recorded === undefined) return unavailableAnswer(http, exchange, workflowID);
    return replyOf(recorded, { 'Idempotent-Replayed': 'true' });
  }

  async function outcomeOf(exchange: Exchange<Req>, current: Run, input: A[0] | undefined): Promise<Reply> {
    try {
      return await run(exchange, current, input);
    } catch (error) {
      // The start may have become durable. With a key the next try joins it.
      const reply = http.unavailable(exchange, error, current.claimed === undefined ? 'unknown' : 'begun');
      if (reply === undefined) throw error;
      return reply;
    }
  }

  async function run(exchange: Exchange<Req>, current: Run, input: A[0] | undefined): Promise<Reply> {
    const prefer =
      options.prefer === false ? undefined : parsePrefer(headerValues(exchange.incoming, 'prefer'));
    const isWaiting = prefer?.respondAsync !== true || prefer.wait !== undefined;
    const early = isWaiting ? answerEarly(exchange, current) : undefined;
    try {
      return await answered(exchange, current, input, { prefer, isWaiting, early });
    } finally {
      early?.leave();
    }
  }

  /** Only of a key that is new can the workflow's end be the first that anybody hears of it. */
  function answerEarly(exchange: Exchange<Req>, { claimed, workflowID }: Run): AnswerWithEnd | undefined {
    if (claimed?.kind !== 'new' || options.event !== undefined || isReplyAsync) return undefined;
    const { reply } = options;
    const { retentionMs, maxStoredBytes: maxBytes } = settings;
    return answerWithEnd(http, {
      ...{ claimed, workflowID, retentionMs, maxBytes },
      reply: reply && ((value) => reply(value as Value, exchange.request)),
      onPromise: () => {
        isReplyAsync = true;
      },
    });
  }

  async function answered(
    exchange: Exchange<Req>,
    current: Run,
    input: A[0] | undefined,
    {
      prefer,
      isWaiting,
      early,
    }: { prefer: Preferences | undefined; isWaiting: boolean; early: AnswerWithEnd | undefined },
  ): Promise<Reply> {
    const { workflowID, claimed } = current;
    let handle: WorkflowHandle<R>;
    try {
      handle = await http.pawl.startWorkflow(workflow, { workflowID })(...([input] as unknown as A));
    } catch (error) {
      // The claim stays as it is: whether the start became durable is not always known, and the next try joins it.
      if (error instanceof ValidationError) return invalidInput(http, exchange, error.issues);
      throw error;
    }
    // What was there before may have ended.
    if (!isWaiting && claimed?.kind !== 'running') return accepted(exchange, current, 'respond-async');

    const wanted = prefer?.wait ?? options.waitSeconds ?? WAIT_SECONDS;
    const seconds = Math.min(wanted, Math.max(MAX_WAIT_SECONDS, options.waitSeconds ?? 0));
    const outcome = await awaitOutcome(http.pawl, handle, options.event, isWaiting ? seconds : 0);
    if (outcome.kind === 'pending') {
      if (!isWaiting) return accepted(exchange, current, 'respond-async');
      if (prefer?.respondAsync === true) return accepted(exchange, current, `respond-async, wait=${seconds}`);
      return claimed?.kind === 'running'
        ? inFlight(exchange, current)
        : accepted(exchange, current, undefined);
    }
    early?.leave();
    if (early?.isRecorded === true && early.reply !== undefined) return early.reply;
    return finish(exchange, current, outcome, early?.reply);
  }

  /** Records the response, unless another request that waited for the same workflow has done so: then that one is given. */
  async function finish(
    exchange: Exchange<Req>,
    { claimed, workflowID }: Run,
    outcome: Outcome,
    early: Reply | undefined,
  ): Promise<Reply> {
    const reply = early ?? (await replyOfOutcome(exchange, workflowID, outcome));
    if (claimed === undefined || outcome.kind === 'stopped') return reply;
    const marks: Record<string, string> = claimed.kind === 'running' ? { 'Idempotent-Replayed': 'true' } : {};
    const made = answerOfReply(reply);
    if (made.body.byteLength > settings.maxStoredBytes) {
      await http.ledger.settle(claimed, { kind: 'unavailable' }, settings.retentionMs).catch(() => undefined);
      return { ...reply, headers: { ...reply.headers, 'Idempotency-Stored': 'false' } };
    }
    try {
      const settled = await http.ledger.settle(
        claimed,
        { kind: 'answer', answer: made },
        settings.retentionMs,
      );
      if (settled.kind === 'done') {
        const recorded = answerOfRecord(settled.record);
        return recorded === undefined
          ? unavailableAnswer(http, exchange, workflowID)
          : replyOf(recorded, marks);
      }
      if (settled.kind !== 'stored') marks['Idempotency-Stored'] = 'false';
    } catch {
      marks['Idempotency-Stored'] = 'false';
    }
    return { ...reply, headers: { ...reply.headers, ...marks } };
  }

  async function replyOfOutcome(
    exchange: Exchange<Req>,
    workflowID: string,
    outcome: Outcome,
  ): Promise<Reply> {
    if (outcome.kind === 'value') {
      const { reply } = options;
      if (reply === undefined) return replyOfValue(outcome.value);
      return replyOfRoute(await askApp(() => reply(outcome.value as Value, exchange.request)));
    }
    if (outcome.kind === 'stopped') {
      const cancelled = outcome.status === 'CANCELLED';
      return http.problem(exchange, {
        status: cancelled ? 409 : 500,
        code: cancelled ? 'workflow-cancelled' : 'workflow-stopped',
        workflowID,
      });
    }
    const own = await askApp(() => options.replyError?.(outcome.error, exchange.request));
    return own === undefined
      ? http.problem(exchange, problemOfError(outcome.error, workflowID))
      : replyOfRoute(own);
  }

  function accepted(exchange: Exchange<Req>, { workflowID }: Run, applied: string | undefined): Reply {
    const location = http.workflowLocation(workflowID);
    return {
      status: 202,
      headers: {
        'Content-Type': 'application/json; charset=utf-8',
        Location: location,
        'Retry-After': '1',
        ...(applied === undefined ? {} : { 'Preference-Applied': applied }),
      },
      body: JSON.stringify({ workflowID, location }),
    };
  }

  function inFlight(exchange: Exchange<Req>, { workflowID }: Run): Reply {
    return http.problem(exchange, {
      status: 409,
      code: 'request-in-flight',
      detail: 'The workflow of this request is still running. Send the request again, or follow Location.',
      retryable: true,
      workflowID,
      headers: { Location: http.workflowLocation(workflowID), 'Retry-After': '1' },
    });
  }
}
