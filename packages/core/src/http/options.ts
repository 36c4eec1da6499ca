// Owns the options that the routes of one app share, checked and with their defaults filled in.
// Never sees a request.
import { type Duration, toMilliseconds } from '../codec/index.ts';
import { ConfigurationError } from '../errors/index.ts';
import type { KeyFormat } from './idempotency-key.ts';

/** Who a key belongs to: two callers may use the same key. `'global'` says that there is only one caller. */
export type Scope<Req> = ((req: Req) => string | Promise<string>) | 'global';

/** What `pawlExpress(pawl, …)` and `pawlKoa(pawl, …)` take. */
export interface Defaults<Req> {
  /** Whose an idempotency key is, for every route that has no `scope` of its own. */
  readonly scope: Scope<Req>;
  /** Prefix of the `type` of problems (RFC 9457), as `https://api.example.com/problems/`; default `urn:pawl:problem:`. */
  readonly problemBase?: string | undefined;
  /**
   * Where clients reach `http.workflows()`, for `Location`: the whole path, with whatever it is mounted under, as
   * `/api/workflows`; default `/workflows`. A route that is asked for elsewhere says so in the log, once.
   */
  readonly workflowsPath?: string | undefined;
  /** Where `http.hooks()` is mounted; default `/hooks`. */
  readonly hooksPath?: string | undefined;
  /**
   * Where the app is reached from outside, as `https://shop.example`: what the URLs of `createHook` begin with.
   * Default: nothing, they are paths.
   */
  readonly baseURL?: string | undefined;
}

/**
 * How a route treats the `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07; where that is silent, what
 * Stripe does). A mistake among them is a ConfigurationError when the route is made.
 *
 * @example
 * http.idempotent({ required: true, ignoreFields: ['meta.sentAt'], retention: '7d' });
 */
export interface IdempotencyOptions<Req> {
  /**
   * Whose a key is, in place of the `scope` that all routes share. Nobody (an empty string) is 401, an error 500; the
   * handler is not run.
   */
  readonly scope?: Scope<Req> | undefined;
  /** Refuse a request without a key, with 400; default false: it passes, and runs each time that it comes. */
  readonly required?: boolean | undefined;
  /** Methods that a key means something for; default POST and PATCH. Never GET, HEAD, OPTIONS. */
  readonly methods?: readonly string[] | undefined;
  /** Name of the header; default `Idempotency-Key`. */
  readonly header?: string | undefined;
  /** `'strict'` takes the quoted form only, a string of RFC 8941; default `'lenient'`, which takes a bare token as well. */
  readonly keyFormat?: KeyFormat | undefined;
  /**
   * What must be the same when a key comes again, or it is 422; in place of method, path, query, media type and body. A
   * JSON body is there to look at, whether or not a parser has run.
   */
  readonly fingerprint?: ((req: Req) => string | Uint8Array) | undefined;
  /** Fields of a JSON body that may differ when a key comes again, as `meta.sentAt`. */
  readonly ignoreFields?: readonly string[] | undefined;
  /** Headers that must be the same when a key comes again. */
  readonly includeHeaders?: readonly string[] | undefined;
  /**
   * What `idempotent` does with a key that is in flight: `'conflict'` answers 409 at once and is the default, `'wait'`
   * waits for the answer, 10 seconds or what `Prefer: wait=n` asks for (at most 60). `endpoint` always waits.
   */
  readonly inFlight?: 'conflict' | 'wait' | undefined;
  /** How long an answer is kept after it was given, by the database's clock; default 24 h. Then the key is new. */
  readonly retention?: Duration | undefined;
  /**
   * How long after its last heartbeat the process of an `idempotent` handler is taken for dead, so that the next request
   * runs the handler again; default 30 s. An `endpoint` needs none: its workflow goes on by itself.
   */
  readonly lease?: Duration | undefined;
  /** Largest request body, in bytes; default 1 MiB. A larger one is 413. */
  readonly maxBodyBytes?: number | undefined;
  /**
   * Largest response body that is kept, in bytes; default 256 KiB. A larger one goes out once, marked
   * `Idempotency-Stored: false`, and a retry is told so with 409: the work is not done again.
   */
  readonly maxStoredBytes?: number | undefined;
  /**
   * Which responses of an `idempotent` handler are kept, by status; any other leaves the key for another try. Default:
   * 2xx, 3xx, 4xx except 401, 403, 408, 409, 425, 429.
   */
  readonly storable?: ((res: { readonly status: number }) => boolean) | undefined;
  /** Requests that idempotency leaves alone, though they have a key. */
  readonly skip?: ((req: Req) => boolean) | undefined;
}

export interface IdempotencySettings<Req> {
  readonly scope: Scope<Req>;
  readonly required: boolean;
  readonly methods: ReadonlySet<string>;
  readonly header: string;
  readonly keyFormat: KeyFormat;
  readonly fingerprint: ((req: Req) => string | Uint8Array) | undefined;
  readonly ignoreFields: readonly string[];
  readonly includeHeaders: readonly string[];
  readonly inFlight: 'conflict' | 'wait';
  readonly retentionMs: number;
  readonly leaseMs: number;
  readonly maxBodyBytes: number;
  readonly maxStoredBytes: number;
  readonly storable: (res: { readonly status: number }) => boolean;
  readonly skip: (req: Req) => boolean;
}

export const MAX_BODY_BYTES = 1024 * 1024;
const MAX_STORED_BYTES = 256 * 1024;
const SAFE = ['GET', 'HEAD', 'OPTIONS'];
const PASSING = new Set([401, 403, 408, 409, 425, 429]);

export function isStorableByDefault({ status }: { readonly status: number }): boolean {
  return status >= 200 && status < 500 && !PASSING.has(status);
}

/** @throws ConfigurationError, so that a mistake shows when the route is made, not with the first request */
export function idempotencySettings<Req>(
  defaults: Defaults<Req>,
  options: IdempotencyOptions<Req>,
): IdempotencySettings<Req> {
  const scope = options.scope ?? defaults.scope;
  if (scope === undefined || (scope !== 'global' && typeof scope !== 'function')) {
    throw new ConfigurationError(
      `Idempotency keys need a scope, or one caller could read another's answer: give { scope: (req) => … } that names the ` +
        `caller, or { scope: 'global' } if there is only one.`,
    );
  }
  const methods = (options.methods ?? ['POST', 'PATCH']).map((method) => method.toUpperCase());
  return {
    scope,
    required: options.required ?? false,
    methods: new Set(methods.filter((method) => !SAFE.includes(method))),
    header: (options.header ?? 'Idempotency-Key').toLowerCase(),
    keyFormat: options.keyFormat ?? 'lenient',
    fingerprint: options.fingerprint,
    ignoreFields: options.ignoreFields ?? [],
    includeHeaders: options.includeHeaders ?? [],
    inFlight: options.inFlight ?? 'conflict',
    retentionMs: toMilliseconds(options.retention ?? '24h', 'retention of idempotency keys'),
    leaseMs: toMilliseconds(options.lease ?? '30s', 'lease of idempotency keys'),
    maxBodyBytes: options.maxBodyBytes ?? MAX_BODY_BYTES,
    maxStoredBytes: options.maxStoredBytes ?? MAX_STORED_BYTES,
    storable: options.storable ?? isStorableByDefault,
    skip: options.skip ?? (() => false),
  };
}
