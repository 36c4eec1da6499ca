// Owns `POST /:id/messages/:topic`: a JSON message for a workflow, once per Idempotency-Key.
// Never decides who may send: the table of routes has asked by then.
import type { WorkflowStatus } from '../app/status.ts';
import { bodyOf, identify, keyed, keyOf, type ReadBody, reused, unavailableAnswer } from './admission.ts';
import { answerOfRecord, answerOfReply, replyOf } from './answer.ts';
import { derivedWorkflowID } from './digest.ts';
import { type Exchange, mediaType, type Reply } from './exchange.ts';
import type { HttpContext } from './http-context.ts';
import { idempotencySettings } from './options.ts';
import { isJSON, parseJSON } from './request-body.ts';
import { hasEnded } from './workflow-outcome.ts';

/** A message is written in milliseconds: whoever holds its key for longer is gone. */
const LEASE_MS = 10_000;

export type MessageRoute<Req> = (
  exchange: Exchange<Req>,
  workflow: WorkflowStatus,
  topic: string,
) => Promise<Reply>;

/** @throws ConfigurationError without a scope: two callers may use the same key */
export function messageRoute<Req>(http: HttpContext<Req>): MessageRoute<Req> {
  const settings = idempotencySettings(http.defaults, {});

  return async (exchange, workflow, topic) => {
    const given = keyOf(http, exchange, settings);
    if (given.kind === 'refused') return given.reply;
    const read = await bodyOf(http, exchange, settings.maxBodyBytes);
    if (read.kind === 'refused') return read.reply;
    const message = messageOf(exchange, read.body);
    if ('refused' in message) return message.refused;
    if (given.kind === 'none') return send(exchange, workflow, topic, message.value);

    const identified = await identify(http, exchange, settings, given.key);
    if (identified.kind === 'refused') return identified.reply;
    const request = keyed(exchange, settings, { key: given.key, id: identified.id, body: read.body });
    const claimed = await http.ledger.claim({
      ...request,
      leaseMs: LEASE_MS,
      retentionMs: settings.retentionMs,
    });
    // Also the id of the message: a retry after a crash inserts it once more, and it is there already.
    const idempotencyKey = derivedWorkflowID(claimed.id, claimed.generation);
    switch (claimed.kind) {
      case 'mismatch':
        return reused(http, exchange);
      case 'running':
        return inFlight(exchange);
      case 'done': {
        const answer = answerOfRecord(claimed.record);
        return answer === undefined
          ? unavailableAnswer(http, exchange, workflow.workflowID)
          : replyOf(answer, { 'Idempotent-Replayed': 'true' });
      }
      default:
    }
    const reply = await send(exchange, workflow, topic, message.value, idempotencyKey).catch(
      async (error: unknown) => {
        await http.ledger.settle(claimed, { kind: 'failed' }, settings.retentionMs).catch(() => undefined);
        throw error;
      },
    );
    const ending = settings.storable(reply)
      ? ({ kind: 'answer', answer: answerOfReply(reply) } as const)
      : ({ kind: 'failed' } as const);
    const stored = await http.ledger.settle(claimed, ending, settings.retentionMs).then(
      ({ kind }) => kind === 'stored',
      () => false,
    );
    return stored ? reply : { ...reply, headers: { ...reply.headers, 'Idempotency-Stored': 'false' } };
  };

  async function send(
    exchange: Exchange<Req>,
    { workflowID, status }: WorkflowStatus,
    topic: string,
    value: unknown,
    idempotencyKey?: string,
  ): Promise<Reply> {
    if (hasEnded(status))
      return http.problem(exchange, { status: 409, code: 'workflow-finished', workflowID });
    await http.pawl.send(workflowID, value, topic, idempotencyKey === undefined ? {} : { idempotencyKey });
    return {
      status: 202,
      headers: { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' },
      body: JSON.stringify({ workflowID, topic }),
    };
  }

  function messageOf(exchange: Exchange<Req>, body: ReadBody): { value: unknown } | { refused: Reply } {
    if (body.kind === 'parsed') return { value: body.value };
    if (body.bytes.byteLength === 0) return { value: undefined };
    const parsed = parseJSON(exchange, body.bytes);
    if (parsed === undefined) {
      const detail = isJSON(mediaType(exchange.incoming))
        ? 'Send the message as it is, without a Content-Encoding.'
        : 'Send the message as JSON, with Content-Type: application/json.';
      return { refused: http.problem(exchange, { status: 415, code: 'body-not-json', detail }) };
    }
    if ('value' in parsed) return parsed;
    const detail = `The body is not JSON: ${parsed.malformed}`;
    return { refused: http.problem(exchange, { status: 400, code: 'body-malformed', detail }) };
  }

  function inFlight(exchange: Exchange<Req>): Reply {
    return http.problem(exchange, {
      status: 409,
      code: 'request-in-flight',
      detail: 'The same message is being sent by another request. Send it again in a moment.',
      retryable: true,
      headers: { 'Retry-After': '1' },
    });
  }
}
