// Types of Standard Schemas, for the overloads that infer an argument from its schema.

import type { StandardSchemaV1 } from '@standard-schema/spec';

export type SchemaOf<I, O> = StandardSchemaV1<I, O>;
/** What callers pass. */
export type InputOf<S extends StandardSchemaV1> = StandardSchemaV1.InferInput<S>;
/** What the body gets. */
export type OutputOf<S extends StandardSchemaV1> = StandardSchemaV1.InferOutput<S>;
