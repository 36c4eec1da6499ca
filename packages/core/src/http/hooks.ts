// Owns the routes of capability URLs that workflows made with `createHook`: whoever has one can answer, once.
// Never shows a token: not in an answer, an error or a log.
import { internals } from '../app/internals.ts';
import { hashToken } from '../engine/hooks.ts';
import { waitKeys } from '../engine/waits.ts';
import { HookRejectedError } from '../errors/index.ts';
import { answerHook, findHook, type HookOutcome } from '../store/hooks.ts';
import { classifyFault } from '../store/faults.ts';
import type { SendEvent } from '../telemetry/events.ts';
import { bodyOf } from './admission.ts';
import { digest } from './digest.ts';
import { type Exchange, mediaType, type Reply } from './exchange.ts';
import type { HttpContext } from './http-context.ts';
import { within } from './ledger.ts';
import { MAX_BODY_BYTES } from './options.ts';
import { WORKFLOW_BUSY } from './problem.ts';
import { isJSON, isTooDeep, TOO_DEEP } from './request-body.ts';
import { type Params, type RouteTable, routeTable } from './routes.ts';

type Kind = 'resolved' | 'rejected';

const DEADLINE_MS = 2_500;
const CONFLICTS = 4;

export function hookRoutes<Req>(http: HttpContext<Req>): RouteTable<Req> {
  const { pawl } = http;
  const prefix = http.hooksPath;
  /** Problems name the path that was asked for, and here that is the secret. */
  const hidden = (exchange: Exchange<Req>): Exchange<Req> => ({ ...exchange, originalUrl: prefix });
  const notFound = (exchange: Exchange<Req>): Reply =>
    http.problem(exchange, {
      status: 404,
      code: 'not-found',
      detail: 'There is no such hook, or its time is over.',
    });

  return routeTable(
    (['resolved', 'rejected'] as const).map((kind) => ({
      method: 'POST',
      path: kind === 'resolved' ? '/:token' : '/:token/reject',
      handle: (exchange: Exchange<Req>, params: Params) => answer(hidden(exchange), params, kind),
    })),
    {
      prefix,
      // A GET must change nothing: mail programs and chats look at links that nobody has clicked.
      methodNotAllowed: (exchange, allow) =>
        http.problem(hidden(exchange), {
          status: 405,
          code: 'method-not-allowed',
          headers: { Allow: allow },
        }),
      failed: (exchange, error) =>
        classifyFault(error) === 'locked'
          ? http.problem(hidden(exchange), WORKFLOW_BUSY)
          : http.unavailable(hidden(exchange), error),
    },
  );

  async function answer(exchange: Exchange<Req>, params: Params, kind: Kind): Promise<Reply> {
    const { database, codec, runtime } = internals(pawl);
    const tokenHash = hashToken(params['token'] as string);
    const hook = await within(DEADLINE_MS, findHook(database, tokenHash), () => undefined);
    if (hook === undefined) return notFound(exchange);
    const read = await bodyOf(http, exchange, MAX_BODY_BYTES);
    if (read.kind === 'refused') return read.reply;
    const given = valueOf(exchange, read.body);
    if ('problem' in given) return http.problem(exchange, given.problem);

    const body = codec.encode(given.value);
    const rejection = new HookRejectedError(hook.topic, given.value, hook.workflowID);
    // Ours is of no use to who reads it: it shows where the request came in.
    delete rejection.stack;
    const { events } = runtime.engine;
    const sending: SendEvent = { run: undefined, destination: hook.workflowID, topic: hook.topic };
    if (events.has('message.sending')) events.emit('message.sending', sending);
    const answering = again(() =>
      answerHook(database, runtime.engine.executor, {
        tokenHash,
        answer: `${kind}:${digest([body ?? ''])}`,
        body: kind === 'resolved' ? body : null,
        error: kind === 'rejected' ? codec.encodeError(rejection) : null,
        trace: sending.trace,
      }),
    ).finally(() => {
      if (events.has('message.sent')) events.emit('message.sent', sending);
    });
    // Too late for this request, but not for the workflow.
    const answered = await within(DEADLINE_MS, answering.then(tell), () => undefined);
    if (answered.outcome === 'unknown') return notFound(exchange);
    if (answered.outcome === 'taken') {
      const [standing] = (answered.standing ?? '').split(':');
      return http.problem(exchange, {
        status: 409,
        code: 'hook-answered',
        detail: `It was ${standing} before, with ${standing === kind ? 'another body' : 'another answer'}. The first answer stands.`,
      });
    }
    return {
      status: 202,
      headers: {
        'Content-Type': 'application/json; charset=utf-8',
        'Cache-Control': 'no-store',
        ...(answered.outcome === 'repeated' ? { 'Idempotent-Replayed': 'true' } : {}),
      },
      body: JSON.stringify({ status: kind }),
    };

    function tell(outcome: HookOutcome): HookOutcome {
      if (outcome.outcome === 'answered' && hook !== undefined) {
        runtime.engine.waits.poke(waitKeys.message(hook.workflowID, hook.topic));
        runtime.executor.onAftermath(outcome);
      }
      return outcome;
    }
  }
}

type Given =
  | { readonly value: unknown }
  | { readonly problem: { status: number; code: string; detail: string } };

/** What was said: JSON, a form, or text; undefined without a body. */
function valueOf(
  exchange: Exchange<unknown>,
  body: { kind: 'bytes'; bytes: Uint8Array } | { kind: 'parsed'; value: unknown },
): Given {
  if (body.kind === 'parsed') return { value: body.value };
  if (body.bytes.byteLength === 0) return { value: undefined };
  const type = mediaType(exchange.incoming);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body.bytes);
    if (isJSON(type)) {
      const value: unknown = JSON.parse(text);
      if (!isTooDeep(value)) return { value };
      return { problem: { status: 400, code: 'body-malformed', detail: TOO_DEEP } };
    }
    if (type === 'application/x-www-form-urlencoded')
      return { value: Object.fromEntries(new URLSearchParams(text)) };
    if (type === 'text/plain') return { value: text };
  } catch {
    return {
      problem: { status: 400, code: 'body-malformed', detail: `The body is not well-formed ${type}.` },
    };
  }
  return {
    problem: {
      status: 415,
      code: 'media-type-unsupported',
      detail:
        'Send application/json, application/x-www-form-urlencoded or text/plain, and say so in Content-Type.',
    },
  };
}

async function again<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (classifyFault(error) !== 'conflict' || attempt === CONFLICTS) throw error;
    }
  }
}
