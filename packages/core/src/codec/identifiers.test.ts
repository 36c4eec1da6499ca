import { expect, test } from 'vitest';
import { ValidationError } from '../errors/index.ts';
import { checkName, checkWorkflowID, childWorkflowID } from './identifiers.ts';

test.each(['a', 'order/1 ü "x"\n', 'x'.repeat(255), '💚'.repeat(255), ' '])('%o is a workflow id', (id) => {
  expect(checkWorkflowID(id)).toBe(id);
});

test.each<[unknown, RegExp]>([
  ['', /must not be empty/],
  ['x'.repeat(256), /at most 255 characters; this one is 256 characters long/],
  ['a\0b', /NUL/],
  ['a\ud800b', /well-formed/],
  [7, /must be a string; this one is a number/],
  [undefined, /a undefined|undefined/],
  [null, /null/],
])('%o is none', (id, message) => {
  expect(() => checkWorkflowID(id)).toThrow(ValidationError);
  expect(() => checkWorkflowID(id)).toThrow(message);
  expect(() => checkWorkflowID(id)).toThrow(/^A workflow ID/);
});

test('names follow the same rules and are called what they are', () => {
  expect(checkName('mail', 'queue name')).toBe('mail');
  expect(() => checkName('', 'queue name')).toThrow('A queue name must not be empty');
});

test('a child has the id {parent}-{step}, and a legal one of its own where that is too long', () => {
  expect(childWorkflowID('order', 7)).toBe('order-7');
  expect(childWorkflowID('x'.repeat(253), 7)).toBe(`${'x'.repeat(253)}-7`);
  const long = ['x'.repeat(255), '💚'.repeat(254)].flatMap((parent) =>
    [7, 8].map((step) => childWorkflowID(parent, step)),
  );
  for (const id of long) expect(checkWorkflowID(childWorkflowID(id, 1))).toBe(childWorkflowID(id, 1));
  expect(new Set(long).size).toBe(4);
  expect(childWorkflowID('x'.repeat(255), 7)).toBe(long[0]);
});
