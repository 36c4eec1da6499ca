// Owns what all routes of one app share: the Pawl instance, its ledger, the form of problems, where things are mounted.
// Never holds anything of one request.
import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import {
  ConfigurationError,
  DatabaseUnavailableError,
  NotLaunchedError,
  PawlError,
} from '../errors/index.ts';
import { classifyFault } from '../store/faults.ts';
import { type Exchange, type Reply, splitTarget } from './exchange.ts';
import { type Ledger, ledgerOf } from './ledger.ts';
import type { Defaults } from './options.ts';
import { type ProblemDetails, problems } from './problem.ts';

/** How far a request had come when the database went away. */
type Done = 'nothing' | 'begun' | 'unknown';

const DETAILS: Record<Done, string> = {
  nothing: 'Nothing was done. Send the same request again in a moment.',
  begun:
    'It is not known how far the request has come. Send it again in a moment, with the same key: it goes on.',
  unknown: 'It is not known whether anything was done, and the request has no key by which to find out.',
};

export interface HttpContext<Req> {
  readonly pawl: Pawl;
  readonly defaults: Defaults<Req>;
  readonly ledger: Ledger;
  /** A refusal of this request. */
  problem(exchange: Exchange<Req>, details: ProblemDetails): Reply;
  /** The URI under which a code is explained. */
  problemType(code: string): string;
  /** Where the workflow routes are, without a slash at the end. */
  readonly workflowsPath: string;
  /** Where `http.hooks()` is mounted, without a slash at the end. */
  readonly hooksPath: string;
  /** Where the client finds this workflow. */
  workflowLocation(workflowID: string): string;
  /** 503 for a database that is away or an instance that is not running; undefined for any other error. */
  unavailable(exchange: Exchange<Req>, error: unknown, done?: Done): Reply | undefined;
  withDerivedWorkflowIDs<T>(prefix: string, fn: () => T): T;
}

export function httpContext<Req>(pawl: Pawl, defaults: Defaults<Req>): HttpContext<Req> {
  const { type, reply } = problems(defaults.problemBase);
  const workflowsPath = (defaults.workflowsPath ?? '/workflows').replace(/\/+$/, '');
  const hooksPath = (defaults.hooksPath ?? '/hooks').replace(/\/+$/, '');
  if (defaults.hooksPath !== undefined || defaults.baseURL !== undefined)
    internals(pawl).core.hooksURL = `${origin(defaults.baseURL)}${hooksPath}`;
  const problem: HttpContext<Req>['problem'] = (exchange, details) =>
    reply(splitTarget(exchange.originalUrl).path, details);
  return {
    pawl,
    defaults,
    ledger: ledgerOf(pawl),
    problem,
    problemType: type,
    workflowsPath,
    hooksPath,
    workflowLocation: (workflowID) => `${workflowsPath}/${encodeURIComponent(workflowID)}`,
    unavailable: (exchange, error, done = 'nothing') => {
      const stopped = error instanceof NotLaunchedError;
      if (!stopped && !isUnavailable(error)) return undefined;
      return problem(exchange, {
        status: 503,
        code: stopped ? 'not-ready' : 'database-unavailable',
        detail: DETAILS[done],
        retryable: done !== 'unknown',
        headers: { 'Retry-After': '2' },
      });
    },
    withDerivedWorkflowIDs: (prefix, fn) => internals(pawl).withDerivedWorkflowIDs(prefix, fn),
  };
}

const ofTheApp = new WeakSet<object>();

/**
 * Calls a function of the app's. What it throws is the app's as well, also where it looks like our database's trouble:
 * another service that refuses connections must not be reported as that, nor be kept from the app's error handling.
 */
export async function askApp<T>(ask: () => T | Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (typeof error === 'object' && error !== null && !(error instanceof PawlError)) ofTheApp.add(error);
    throw error;
  }
}

function isUnavailable(error: unknown): boolean {
  if (typeof error === 'object' && error !== null && ofTheApp.has(error)) return false;
  return error instanceof DatabaseUnavailableError || classifyFault(error) === 'connection';
}

/** @throws ConfigurationError, so that no workflow sends out links that lead nowhere */
function origin(baseURL: string | undefined): string {
  if (baseURL === undefined) return '';
  if (!URL.canParse(baseURL) || !/^https?:/i.test(baseURL))
    throw new ConfigurationError(
      `baseURL must be where the app is reached from outside, as https://shop.example; this one is ${JSON.stringify(baseURL)}.`,
    );
  return baseURL.replace(/\/+$/, '');
}
