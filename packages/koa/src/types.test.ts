// What must not compile: a set of routes that does not say whose a key or a workflow is.
import { Pawl } from '@pawl/core';
import { expect, expectTypeOf, test } from 'vitest';
import type { Context } from 'koa';
import { pawlKoa } from './index.ts';

const pawl = new Pawl();
const work = pawl.registerWorkflow(async (order: { sku: string }) => order.sku.length, { name: 'work' });

test('a missing scope does not compile, and does not run either', () => {
  // @ts-expect-error scope is missing
  expect(() => pawlKoa(pawl).idempotent()).toThrow(/scope/);
  // @ts-expect-error scope is missing
  expect(() => pawlKoa(pawl, {}).endpoint(work)).toThrow(/scope/);
  // @ts-expect-error scope must not be undefined
  expect(() => pawlKoa(pawl, { scope: undefined }).idempotent()).toThrow(/scope/);
  // @ts-expect-error a scope is a function or 'global'
  expect(() => pawlKoa(pawl, { scope: 'tenant' }).idempotent()).toThrow(/scope/);
});

test('a missing authorize does not compile, and does not run either', () => {
  const http = pawlKoa(pawl, { scope: 'global' });
  // @ts-expect-error authorize is missing
  expect(() => http.workflows()).toThrow(/authorize/);
  // @ts-expect-error authorize is missing
  expect(() => http.workflows({ messages: true })).toThrow(/authorize/);
});

test('options know the request, the argument and the result', () => {
  const http = pawlKoa(pawl, {
    scope: (ctx) => {
      expectTypeOf(ctx).toEqualTypeOf<Context>();
      return 'someone';
    },
  });
  http.endpoint(work, {
    input: () => ({ sku: 'cog' }),
    reply: (value, ctx) => {
      expectTypeOf(value).toEqualTypeOf<number>();
      expectTypeOf(ctx.idempotency?.attempt).toEqualTypeOf<number | undefined>();
      return { json: value };
    },
  });
  // @ts-expect-error the input is not the workflow's argument
  http.endpoint(work, { input: () => ({ sku: 7 }) });
  // @ts-expect-error a scope gives a string
  http.idempotent({ scope: () => 7 });
  // @ts-expect-error there is no such format
  http.idempotent({ keyFormat: 'loose' });
});
