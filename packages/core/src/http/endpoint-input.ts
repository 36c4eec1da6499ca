// Owns how a request becomes the argument of an endpoint's workflow: its body, checked by a schema or by a function.
// Never starts anything: what is refused here has left no trace.
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { internals } from '../app/internals.ts';
import { ValidationError } from '../errors/index.ts';
import type { ReadBody } from './admission.ts';
import type { Exchange, Reply } from './exchange.ts';
import { askApp, type HttpContext } from './http-context.ts';
import { statusOf } from './outcome.ts';
import { parseJSON } from './request-body.ts';
import { check, isSchema, plainIssue } from './schema.ts';

/** What an endpoint's `input` may be. */
export type InputOption<Req, Input> =
  | StandardSchemaV1<unknown, Input>
  | ((req: Req) => Input | Promise<Input>)
  | undefined;

export type Prepared<T> =
  | { readonly kind: 'ready'; readonly value: T }
  | { readonly kind: 'refused'; readonly reply: Reply };

/** The argument for `workflow`, or why the request has none that fits. */
export async function prepareInput<Req, Input>(
  http: HttpContext<Req>,
  workflow: { readonly workflowName: string },
  input: InputOption<Req, Input>,
  exchange: Exchange<Req>,
  body: ReadBody,
): Promise<Prepared<Input>> {
  const content = contentOf(http, exchange, body, typeof input === 'function' && !isSchema(input));
  if (content.kind === 'refused') return content;
  const registered = internals(http.pawl).core.registry.find(workflow.workflowName);
  try {
    let value: unknown = content.value;
    if (isSchema(input)) {
      const checked = await check(input, value);
      if (checked.issues !== undefined) return refused(invalidInput(http, exchange, checked.issues));
      value = checked.value;
    } else if (input !== undefined) {
      value = await askApp(() => input(exchange.request));
    } else if (value === undefined && registered?.input === undefined && (registered?.fn.length ?? 0) > 0) {
      const detail = 'The request has no body, and this operation needs one.';
      return refused(http.problem(exchange, { status: 400, code: 'body-missing', detail }));
    }
    // Asked here as well as at the start, so that what is not valid has not used the key up.
    if (registered?.input !== undefined) {
      const checked = await check(registered.input, value);
      if (checked.issues !== undefined) return refused(invalidInput(http, exchange, checked.issues));
    }
    return { kind: 'ready', value: value as Input };
  } catch (error) {
    const issues = error instanceof ValidationError ? error.issues : issuesOf(error);
    if (issues !== undefined) return refused(invalidInput(http, exchange, issues));
    const status = statusOf(error);
    if (status === undefined || status >= 500) throw error;
    const { message } = error as Error;
    return refused(http.problem(exchange, { status, code: 'input-invalid', detail: message }));
  }
}

/** 422 with what is wrong. */
export function invalidInput<Req>(
  http: HttpContext<Req>,
  exchange: Exchange<Req>,
  issues: readonly StandardSchemaV1.Issue[],
): Reply {
  const detail = issues[0]?.message;
  return http.problem(exchange, {
    status: 422,
    code: 'input-invalid',
    detail,
    issues: issues.map(plainIssue),
  });
}

/** The body as a value. A function of the request may read bodies of its own kind, anything else takes JSON only. */
function contentOf<Req>(
  http: HttpContext<Req>,
  exchange: Exchange<Req>,
  body: ReadBody,
  anyType: boolean,
): Prepared<unknown> {
  if (body.kind === 'parsed') return { kind: 'ready', value: body.value };
  const json = parseJSON(exchange, body.bytes);
  if (json !== undefined && 'malformed' in json) {
    const detail = `The body is not JSON: ${json.malformed}`;
    return refused(http.problem(exchange, { status: 400, code: 'body-malformed', detail }));
  }
  if (json !== undefined) return { kind: 'ready', value: json.value };
  const given = exchange.getBody();
  // Parsers of Express 4 leave an empty object where there is no body.
  const none = body.bytes.byteLength === 0 && isEmptyObject(given);
  if (given !== undefined && !none && !(given instanceof Uint8Array)) return { kind: 'ready', value: given };
  if (body.bytes.byteLength === 0 || anyType) return { kind: 'ready', value: undefined };
  const detail = 'The body is not JSON that says so in its Content-Type, and no parser in front has read it.';
  return refused(http.problem(exchange, { status: 415, code: 'media-type-unsupported', detail }));
}

function refused(reply: Reply): { readonly kind: 'refused'; readonly reply: Reply } {
  return { kind: 'refused', reply };
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** Validation errors of other libraries: zod and valibot put `issues` on what they throw. */
function issuesOf(error: unknown): readonly StandardSchemaV1.Issue[] | undefined {
  const issues = (error as { issues?: unknown } | null)?.issues;
  return error instanceof Error && Array.isArray(issues) ? (issues as StandardSchemaV1.Issue[]) : undefined;
}
