// Typed names of topics and events: a name, the type of what goes under it, and perhaps a schema.

import type { StandardSchemaV1 } from '@standard-schema/spec';
import { checkName } from '../codec/index.ts';
import { ValidationError } from '../errors/index.ts';

declare const type: unique symbol;

/** A topic whose messages are of type `T`. Made by `defineTopic`. */
export interface Topic<T> {
  readonly name: string;
  readonly schema: StandardSchemaV1<unknown, T> | undefined;
  readonly [type]?: T;
}

/** The key of an event whose values are of type `T`. Made by `defineEvent`. */
export interface EventKey<T> {
  readonly name: string;
  readonly schema: StandardSchemaV1<unknown, T> | undefined;
  readonly [type]?: T;
}

/**
 * Names a topic and the type of its messages. With a schema (any Standard Schema: zod, valibot, arktype),
 * `send` checks each message and sends what the schema makes of it.
 *
 * @throws ValidationError if the name is empty, longer than 255 characters or has a NUL
 * @example
 * const paid = defineTopic<{ amount: number }>('paid');
 * await pawl.send(orderID, { amount: 3 }, paid);
 * const message = await pawl.recv(paid, 120);   // { amount: number } | null
 */
export function defineTopic<T>(name: string, schema?: StandardSchemaV1<unknown, T>): Topic<T> {
  return { name: checkName(name, 'topic'), schema };
}

/**
 * Names an event and the type of its values, as `defineTopic` does for messages.
 *
 * @throws ValidationError if the name is empty, longer than 255 characters or has a NUL
 * @example
 * const progress = defineEvent<number>('progress');
 * await pawl.setEvent(progress, 0.5);
 */
export function defineEvent<T>(name: string, schema?: StandardSchemaV1<unknown, T>): EventKey<T> {
  return { name: checkName(name, 'event key'), schema };
}

/** The checked name of a topic or event; `''` stands for none. */
export function nameOf(given: string | Topic<unknown> | EventKey<unknown>, what: string): string {
  return checkName(typeof given === 'string' ? given : given.name, what);
}

/** What the schema of a topic, event or workflow makes of a value. Synchronous unless the schema is not. */
export function validate(schema: StandardSchemaV1 | undefined, value: unknown, what: string): unknown {
  if (schema === undefined) return value;
  const judge = (result: StandardSchemaV1.Result<unknown>): unknown => {
    if (result.issues === undefined) return result.value;
    const [first] = result.issues;
    const path = first?.path
      ?.map((part) => (typeof part === 'object' ? part.key : part))
      .map(String)
      .join('.');
    throw new ValidationError(
      `${what} is not valid${path ? ` at ${path}` : ''}: ${first?.message ?? 'no reason given'}`,
      result.issues,
    );
  };
  const result = schema['~standard'].validate(value);
  return result instanceof Promise ? result.then(judge) : judge(result);
}
