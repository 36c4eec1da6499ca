// What the engine relies on: values and errors as column text, with the default serializer and with a foreign one.
import { Socket } from 'node:net';
import { inspect, types } from 'node:util';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import {
  ConfigurationError,
  errorCatalog,
  MaxStepRetriesError,
  NonDeterminismError,
  SerializationError,
  StepTimeoutError,
  ValidationError,
  WorkflowCancelledError,
  WorkflowTimeoutError,
} from '../errors/index.ts';
import { createCodec } from './codec.ts';

const codec = createCodec();
const again = <T>(thrown: T, by = codec) => by.decodeError(by.encodeError(thrown)) as T;

class PaymentError extends Error {
  readonly code: string;
  constructor(code: string, options?: ErrorOptions) {
    super(`payment failed: ${code}`, options);
    PaymentError.constructed++;
    this.name = 'PaymentError';
    this.code = code;
  }
  static constructed = 0;
  get declined(): boolean {
    return this.code === 'declined';
  }
}

describe('values', () => {
  test('undefined is NULL, and null is not', () => {
    expect(codec.encode(undefined)).toBeNull();
    expect(codec.decode(null)).toBeUndefined();
    expect(codec.encode(null)).toBe('null');
    expect(codec.decode('null')).toBeNull();
  });

  test('roundTrip gives the live caller what a replay gives', () => {
    class Point {
      x = 1;
    }
    const point = new Point();
    const { text, value } = codec.roundTrip(point);
    expect(value).toStrictEqual(codec.decode(text));
    expect(value).not.toBe(point);
    expect(codec.roundTrip('a')).toEqual({ text: '"a"', value: 'a' });
    expect(codec.roundTrip(undefined)).toEqual({ text: null, value: undefined });
    expect(codec.roundTrip(-0).value).toBe(-0);
  });
});

describe('errors', () => {
  test('keep name, message, stack and own properties', () => {
    const error = Object.assign(new Error('no such row'), {
      code: '23503',
      at: new Date(0),
      detail: { table: 'order' },
    });
    const copy = again(error);
    expect(copy).toStrictEqual(error);
    expect(copy).toMatchObject({ code: '23503', at: new Date(0), detail: { table: 'order' } });
    expect(copy.stack).toBe(error.stack);
    expect(Object.keys(copy)).toEqual(['code', 'at', 'detail']);
  });

  test('are genuine errors to consoles, loggers and debuggers', () => {
    const own = createCodec();
    own.registerError(PaymentError);
    for (const error of [new TypeError('a'), new ConfigurationError('b'), new PaymentError('c')]) {
      const copy = again(error, own);
      expect(types.isNativeError(copy)).toBe(true);
      expect(inspect(copy)).toBe(inspect(error));
      expect(Object.prototype.toString.call(copy)).toBe('[object Error]');
    }
  });

  test.each([EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, Error])(
    '%o comes back',
    (Class) => {
      const copy = again(new Class('x'));
      expect(Object.getPrototypeOf(copy)).toBe(Class.prototype);
      expect(copy.message).toBe('x');
    },
  );

  test('DOMExceptions of aborts and timeouts come back', () => {
    const reason = AbortSignal.abort().reason as DOMException;
    const copy = again(reason);
    expect(copy).toBeInstanceOf(DOMException);
    expect(copy).toMatchObject({ name: 'AbortError', message: reason.message, code: DOMException.ABORT_ERR });
    expect(again(new DOMException('late', 'TimeoutError'))).toMatchObject({
      name: 'TimeoutError',
      message: 'late',
    });
  });

  test('every class of the catalog comes back', () => {
    for (const Class of Object.values(errorCatalog)) {
      const error = Object.create(Class.prototype) as Error;
      expect(Object.getPrototypeOf(again(error))).toBe(Class.prototype);
    }
  });

  test('errors of the catalog keep what they carry', () => {
    const timeout = new StepTimeoutError('charge', 500);
    const retries = again(new MaxStepRetriesError('charge', [timeout, 'text', new PaymentError('declined')]));
    expect(retries).toBeInstanceOf(MaxStepRetriesError);
    expect(retries.errors[0]).toBeInstanceOf(StepTimeoutError);
    expect(retries.errors[0]).toMatchObject({ code: 'PAWL_STEP_TIMEOUT', retryable: true, timeoutMs: 500 });
    expect(retries.errors[1]).toBe('text');
    expect(retries.docs).toBe('https://pawl.dev/errors#PAWL_MAX_STEP_RETRIES');

    expect(again(new WorkflowTimeoutError('wf-1'))).toBeInstanceOf(WorkflowCancelledError);
    expect(again(new ValidationError('no', [{ message: 'x', path: ['a', 0] }])).issues).toEqual([
      { message: 'x', path: ['a', 0] },
    ]);
    const mismatch = {
      workflowID: 'w',
      workflowName: 'n',
      stepID: 1,
      recorded: { kind: 'step', name: 'a' },
      called: null,
    };
    expect(again(new NonDeterminismError(mismatch))).toMatchObject(mismatch);
  });

  test('registered classes come back in another process, without running their constructor', () => {
    const writer = createCodec();
    const reader = createCodec();
    writer.registerError(PaymentError);
    reader.registerError(PaymentError);
    const text = writer.encodeError(new PaymentError('declined'));
    const constructed = PaymentError.constructed;
    const copy = reader.decodeError(text) as PaymentError;
    expect(PaymentError.constructed).toBe(constructed);
    expect(copy).toBeInstanceOf(PaymentError);
    expect(copy.declined).toBe(true);
    expect(copy.name).toBe('PaymentError');
  });

  test('a class that nobody registered is an Error with its name', () => {
    const copy = again(new PaymentError('declined'));
    expect(Object.getPrototypeOf(copy)).toBe(Error.prototype);
    expect(copy).toMatchObject({ name: 'PaymentError', code: 'declined' });
  });

  test('a class that only the writer registered is an Error as well', () => {
    const writer = createCodec();
    writer.registerError(PaymentError);
    const copy = codec.decodeError(writer.encodeError(new PaymentError('x'))) as Error;
    expect(Object.getPrototypeOf(copy)).toBe(Error.prototype);
    expect(copy.name).toBe('PaymentError');
  });

  test('an unregistered subclass comes back as the nearest class that is known', () => {
    class HttpError extends RangeError {}
    expect(again(new HttpError('x'))).toBeInstanceOf(RangeError);
  });

  test("an app's TimeoutError is not Pawl's", () => {
    class TimeoutError extends Error {}
    const own = createCodec();
    own.registerError(TimeoutError);
    expect(Object.getPrototypeOf(again(new TimeoutError('x'), own))).toBe(TimeoutError.prototype);
  });

  test('causes and aggregates nest, whatever they hold', () => {
    const error = new AggregateError([new TypeError('a'), { b: 1 }, undefined], 'all failed', {
      cause: new PaymentError('x', { cause: new Map([['at', new Date(0)]]) }),
    });
    const copy = again(error);
    expect(copy).toBeInstanceOf(AggregateError);
    expect(copy.errors[0]).toBeInstanceOf(TypeError);
    expect(copy.errors.slice(1)).toEqual([{ b: 1 }, undefined]);
    expect((copy.cause as Error).cause).toEqual(new Map([['at', new Date(0)]]));
    expect(Object.keys(copy)).toEqual([]);
  });

  test('cycles are cut, and very long chains too', () => {
    const a = new Error('a');
    const b = new Error('b', { cause: a });
    a.cause = b;
    Object.assign(a, { self: a, list: [a] });
    const copy = again(a);
    expect((copy.cause as Error).message).toBe('b');
    expect((copy.cause as Error).cause).toBeUndefined();
    expect(copy).not.toHaveProperty('self');

    let chain = new Error('0');
    for (let i = 1; i < 10_000; i++) chain = new Error(String(i), { cause: chain });
    expect(again(chain).message).toBe('9999');
    let properties: Error = new Error('0');
    for (let i = 1; i < 5_000; i++)
      properties = Object.assign(new Error(String(i)), { original: properties });
    expect(again(properties).message).toBe('4999');
  });

  test('inside values they are kept like any other value', () => {
    const settled = [{ status: 'rejected', reason: new RangeError('r', { cause: new TypeError('t') }) }];
    const copy = codec.decode(codec.encode(settled)) as typeof settled;
    expect(copy).toStrictEqual(settled);
    expect(copy[0]?.reason.cause).toBeInstanceOf(TypeError);
  });

  test('of another realm are errors too', () => {
    expect(again(runInNewContext('new Error("far away")'))).toMatchObject({ message: 'far away' });
  });
});

describe('recording an error never fails', () => {
  test('what cannot be stored of it is left out', () => {
    const error = Object.assign(new Error('read ECONNRESET'), {
      code: 'ECONNRESET',
      socket: new Socket(),
      config: { transform: [() => {}] },
      retry() {},
      response: { status: 503 },
      $pawl: 'Date',
    });
    expect(again(error)).toMatchObject({ code: 'ECONNRESET', response: { status: 503 } });
    expect(Object.keys(again(error))).toEqual(['code', 'response', '$pawl']);
    expect(codec.decode(codec.encode([error]))).toMatchObject([{ code: 'ECONNRESET' }]);
    expect(again(Object.assign(new Error('x'), { cause: () => {} })).cause).toBeUndefined();
  });

  test('a key __proto__ does no harm', () => {
    const error = new Error('x');
    Object.defineProperty(error, '__proto__', { value: { admin: true }, enumerable: true });
    expect(again(error)).not.toHaveProperty('admin');
    expect(again(error)).toBeInstanceOf(Error);
  });

  test.each<[string, () => unknown]>([
    [
      'a proxy that throws',
      () => new Proxy(new Error('x'), { get: boom, getPrototypeOf: boom, ownKeys: boom }),
    ],
    ['a message that throws', () => Object.defineProperty(new Error('x'), 'message', { get: boom })],
    [
      'a property that throws',
      () => Object.defineProperty(new Error('x'), 'y', { get: boom, enumerable: true }),
    ],
    ['a name that is no text', () => Object.assign(new Error('x'), { name: { a: 1 } })],
    ['a stack that is no text', () => Object.assign(new Error('x'), { stack: [{}] })],
    ['a function', () => () => {}],
    ['a symbol', () => Symbol('s')],
    ['an object with a function', () => ({ run() {} })],
    ['a promise', () => Promise.resolve()],
  ])('%s is recorded as an error', (_, make) => {
    expect(again(make())).toBeInstanceOf(Error);
  });

  function boom(): never {
    throw new Error('boom');
  }

  test('what cannot be stored is at least shown', () => {
    expect(again<unknown>({ run() {}, code: 7 })).toMatchObject({
      message: expect.stringContaining('code: 7'),
    });
  });
});

test.each(['x', '', 0, null, undefined, false, { code: 1 }, [new Date(0)], 10n])(
  'thrown values come back: %o',
  (thrown) => {
    expect(again<unknown>(thrown)).toStrictEqual(thrown);
  },
);

describe('registerError', () => {
  test('takes classes of errors with unique names', () => {
    const own = createCodec();
    own.registerError(PaymentError);
    own.registerError(PaymentError);
    const Other = class PaymentError extends Error {};
    expect(() => own.registerError(Other)).toThrow(/another class is registered as "PaymentError"/);
    own.registerError(Other, 'OtherPaymentError');
    expect(again(new Other('x'), own)).toBeInstanceOf(Other);
    expect(() => own.registerError(class extends Error {})).toThrow(/without a name/);
    expect(() => own.registerError(TypeError)).toThrow(ConfigurationError);
    expect(() => own.registerError(Date as never)).toThrow(ConfigurationError);
    expect(() => own.registerError((() => {}) as never)).toThrow(ConfigurationError);
  });
});

describe('a foreign serializer', () => {
  /** Neither JSON nor able to keep more than JSON can. */
  const reversed = createCodec({
    serializer: {
      stringify: (value) => [...JSON.stringify(value)].reverse().join(''),
      parse: (text) => JSON.parse([...text].reverse().join('')),
    },
  });

  test('writes and reads the values', () => {
    expect(reversed.encode({ a: 1 })).toBe('}1:"a"{');
    expect(reversed.decode('}1:"a"{')).toEqual({ a: 1 });
    expect(reversed.encode(undefined)).toBeNull();
    expect(reversed.roundTrip('ab')).toEqual({ text: '"ba"', value: 'ab' });
  });

  test('also writes errors, with class, causes and what it can keep of the rest', () => {
    const error = Object.assign(new TypeError('a', { cause: new PaymentError('b') }), { n: 1, big: 1n });
    const copy = again(error, reversed);
    expect(copy).toBeInstanceOf(TypeError);
    expect(copy).toMatchObject({ n: 1, cause: { name: 'PaymentError', code: 'b' } });
    expect(copy).not.toHaveProperty('big');
    for (const thrown of ['x', undefined, null, { code: 1 }]) expect(again(thrown, reversed)).toEqual(thrown);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('no bigints');
      },
      /no bigints/,
    ],
    ['returns no text', () => undefined as unknown as string, /returned undefined/],
    ['writes NUL', () => 'a\0b', /NUL/],
    ['writes half a character', () => '\ud83d', /surrogate/],
  ])('that %s is an error of the catalog', (_, stringify, what) => {
    const broken = createCodec({ serializer: { stringify, parse: JSON.parse } });
    expect(() => broken.encode(1)).toThrow(SerializationError);
    expect(() => broken.encode(1)).toThrow(what);
  });

  test('that cannot parse is an error of the catalog', () => {
    expect(() => createCodec({ serializer: JSON }).decode('{')).toThrow(SerializationError);
  });
});
