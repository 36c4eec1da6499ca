// Owns the mode in which the route is the workflow: a key stands for one workflow, the response is its outcome.
// Never runs anything itself: after a crash the workflow goes on elsewhere, and the next try joins it.
import { randomUUID } from 'node:crypto';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { EventKey } from '../app/topics.ts';
import type { WorkflowHandle } from '../app/handles.ts';
import type { Workflow } from '../app/workflows.ts';
import { ValidationError } from '../errors/index.ts';
import { bodyOf, identify, keyed, keyOf, type ReadBody, reused, unavailableAnswer } from './admission.ts';
import { answerOfRecord, answerOfReply, replyOf } from './answer.ts';
import { derivedWorkflowID } from './digest.ts';
import { type Exchange, headerValues, type Reply } from './exchange.ts';
import type { HttpContext } from './http-context.ts';
import type { Claimed } from './ledger.ts';
import { type IdempotencyOptions, idempotencySettings } from './options.ts';
import { problemOfError, replyOfRoute, replyOfValue, type RouteReply, statusOf } from './outcome.ts';
import { parsePrefer } from './prefer.ts';
import { parseJSON } from './request-body.ts';
import { check, isSchema, plainIssue } from './schema.ts';
import { awaitOutcome, type Outcome } from './workflow-outcome.ts';

export interface EndpointOptions<Req, Input, Value> extends IdempotencyOptions<Req> {
  /** The workflow's argument: a schema for the request's body, or a function of the request. Default: the body. */
  readonly input?: StandardSchemaV1<unknown, Input> | ((req: Req) => Input | Promise<Input>) | undefined;
  /** Answer as soon as the workflow has set this event, with the event's value, instead of at the workflow's end. */
  readonly event?: string | EventKey<Value> | undefined;
  /** The response for a value; default 200 with the value as JSON. Must depend on its arguments alone. */
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

type Prepared<T> =
  | { readonly kind: 'ready'; readonly value: T }
  | { readonly kind: 'refused'; readonly reply: Reply };

export function endpoint<Req, A extends unknown[], R, Value = R>(
  http: HttpContext<Req>,
  workflow: Workflow<A, R>,
  options: EndpointOptions<Req, A[0], Value>,
): (exchange: Exchange<Req>) => Promise<Reply> {
  const settings = idempotencySettings(http.defaults, options);

  /** One request under way: its workflow, and the claim if it has a key. */
  interface Run {
    readonly workflowID: string;
    readonly claimed: (Claimed & { readonly kind: 'new' | 'running' }) | undefined;
  }

  return async (exchange) => {
    try {
      return await answer(exchange);
    } catch (error) {
      const reply = http.unavailable(exchange, error);
      if (reply === undefined) throw error;
      return reply;
    }
  };

  async function answer(exchange: Exchange<Req>): Promise<Reply> {
    const given = keyOf(http, exchange, settings);
    if (given.kind === 'refused') return given.reply;
    const identified = given.kind === 'key' ? await identify(http, exchange, settings, given.key) : undefined;
    if (identified?.kind === 'refused') return identified.reply;
    const read = await bodyOf(http, exchange, settings.maxBodyBytes);
    if (read.kind === 'refused') return read.reply;

    const identity =
      given.kind === 'key' && identified !== undefined ? { key: given.key, id: identified.id } : undefined;
    if (identity === undefined) {
      const workflowID = randomUUID();
      exchange.setIdempotency({ key: undefined, workflowID, attempt: 1 });
      const input = await inputOf(exchange, read.body);
      if (input.kind === 'refused') return input.reply;
      return run(exchange, { workflowID, claimed: undefined }, input.value);
    }

    const input = await inputOf(exchange, read.body);
    if (input.kind === 'refused') return input.reply;
    const request = keyed(exchange, settings, { ...identity, body: read.body });
    const outcome = await http.ledger.claim({ ...request, leaseMs: null });
    const workflowID = derivedWorkflowID(outcome.id, outcome.generation);
    exchange.setIdempotency({ key: identity.key, workflowID, attempt: outcome.attempt });
    if (outcome.kind === 'mismatch') return reused(http, exchange);
    if (outcome.kind === 'done') {
      const recorded = answerOfRecord(outcome.record);
      if (recorded === undefined) return unavailableAnswer(http, exchange, workflowID);
      return replyOf(recorded, { 'Idempotent-Replayed': 'true' });
    }
    const kind = outcome.kind === 'running' ? 'running' : 'new';
    return run(exchange, { workflowID, claimed: { ...outcome, kind } }, input.value);
  }

  /** Checked before the key is used up: a request that was never valid may come again, corrected. */
  async function inputOf(exchange: Exchange<Req>, body: ReadBody): Promise<Prepared<A[0] | undefined>> {
    let content: unknown = body.kind === 'parsed' ? body.value : undefined;
    if (body.kind === 'bytes') {
      const json = parseJSON(exchange, body.bytes);
      if (json !== undefined && 'malformed' in json) {
        const reply = http.problem(exchange, {
          status: 400,
          code: 'body-malformed',
          detail: `The body is not JSON: ${json.malformed}`,
        });
        return { kind: 'refused', reply };
      }
      content = json?.value ?? exchange.getBody();
      if (exchange.getBody() === undefined && json !== undefined) exchange.setBody(json.value);
    }
    const { input } = options;
    try {
      if (input === undefined) return { kind: 'ready', value: content as A[0] };
      if (!isSchema(input)) return { kind: 'ready', value: await input(exchange.request) };
      const checked = await check(input, content);
      if (checked.issues === undefined) return { kind: 'ready', value: checked.value };
      return { kind: 'refused', reply: invalid(exchange, checked.issues) };
    } catch (error) {
      if (error instanceof ValidationError)
        return { kind: 'refused', reply: invalid(exchange, error.issues) };
      const issues = issuesOf(error);
      if (issues !== undefined) return { kind: 'refused', reply: invalid(exchange, issues) };
      const status = statusOf(error);
      if (status === undefined || status >= 500) throw error;
      const { message } = error as Error;
      return {
        kind: 'refused',
        reply: http.problem(exchange, { status, code: 'input-invalid', detail: message }),
      };
    }
  }

  function invalid(exchange: Exchange<Req>, issues: readonly StandardSchemaV1.Issue[]): Reply {
    const detail = issues[0]?.message;
    return http.problem(exchange, {
      status: 422,
      code: 'input-invalid',
      detail,
      issues: issues.map(plainIssue),
    });
  }

  async function run(exchange: Exchange<Req>, current: Run, input: A[0] | undefined): Promise<Reply> {
    const { workflowID, claimed } = current;
    let handle: WorkflowHandle<R>;
    try {
      handle = await http.pawl.startWorkflow(workflow, { workflowID })(...([input] as unknown as A));
    } catch (error) {
      if (claimed?.kind === 'new')
        await http.ledger.settle(claimed, { kind: 'forgotten' }, 0).catch(() => undefined);
      if (error instanceof ValidationError) return invalid(exchange, error.issues);
      throw error;
    }
    const prefer =
      options.prefer === false ? undefined : parsePrefer(headerValues(exchange.incoming, 'prefer'));
    if (prefer?.respondAsync === true && prefer.wait === undefined)
      return accepted(exchange, current, 'respond-async');

    const wanted = prefer?.wait ?? options.waitSeconds ?? WAIT_SECONDS;
    const seconds = Math.min(wanted, Math.max(MAX_WAIT_SECONDS, options.waitSeconds ?? 0));
    const outcome = await awaitOutcome(http.pawl, handle, options.event, seconds);
    if (outcome.kind === 'pending') {
      if (prefer?.respondAsync === true) return accepted(exchange, current, `respond-async, wait=${wanted}`);
      return claimed?.kind === 'running'
        ? inFlight(exchange, current)
        : accepted(exchange, current, undefined);
    }
    return finish(exchange, current, outcome);
  }

  /** Records the response, unless another request that waited for the same workflow has done so: then that one is given. */
  async function finish(
    exchange: Exchange<Req>,
    { claimed, workflowID }: Run,
    outcome: Outcome,
  ): Promise<Reply> {
    const reply = await replyOfOutcome(exchange, workflowID, outcome);
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
      if (options.reply === undefined) return replyOfValue(outcome.value);
      return replyOfRoute(await options.reply(outcome.value as Value, exchange.request));
    }
    if (outcome.kind === 'stopped') {
      const cancelled = outcome.status === 'CANCELLED';
      return http.problem(exchange, {
        status: cancelled ? 409 : 500,
        code: cancelled ? 'workflow-cancelled' : 'workflow-stopped',
        workflowID,
      });
    }
    const own = await options.replyError?.(outcome.error, exchange.request);
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

/** Validation errors of other libraries: zod and valibot put `issues` on what they throw. */
function issuesOf(error: unknown): readonly StandardSchemaV1.Issue[] | undefined {
  const issues = (error as { issues?: unknown } | null)?.issues;
  return error instanceof Error && Array.isArray(issues) ? (issues as StandardSchemaV1.Issue[]) : undefined;
}
