// A connection of its own for calls one after another, made as cheap as the protocol allows: statements are prepared
// once, their results are not described, values are texts both ways.

import type pg from 'pg';
import { type Lane, NotSentError, type TextRow } from './database.ts';
import { classifyFault, errorCode } from './faults.ts';
import { destroyClient, endClient } from './pg-end.ts';
import { asOneTransaction } from './pg-session.ts';

export interface PgLaneOptions {
  /** A connection that is ready for calls. */
  connect: () => Promise<pg.Client>;
  /** Each transaction may be on another backend. Known once it has connected. */
  pooled: () => boolean;
  qualify: (text: string) => string;
  onStatement: (text: string) => void;
}

/** No honest call of ours takes so long (lock_timeout is 2 s): the connection is dead and does not know it. */
const SILENCE_MS = 20_000;

interface Call {
  text: string;
  params: readonly (string | null)[];
  wanted: (() => boolean) | undefined;
  resolve: (rows: TextRow[]) => void;
  reject: (error: unknown) => void;
}

export function createPgLane(options: PgLaneOptions): Lane {
  let client: pg.Client | undefined;
  let connecting: Promise<pg.Client> | undefined;
  let closed = false;
  const waiting: Call[] = [];
  let busy = false;
  let prepared = new Set<string>();
  let sentAt = 0;
  let watch: NodeJS.Timeout | undefined;

  const connect = async (): Promise<pg.Client> => {
    const fresh = await options.connect();
    const gone = (): void => {
      if (client === fresh) client = undefined;
    };
    fresh.on('error', gone);
    fresh.on('end', gone);
    prepared = new Set();
    if (closed) await endClient(fresh);
    else client = fresh;
    return fresh;
  };

  const next = (): void => {
    const call = waiting.shift();
    busy = call !== undefined;
    if (call === undefined) return;
    if (client !== undefined) send(client, call);
    else {
      connecting ??= connect().finally(() => (connecting = undefined));
      connecting.then(
        (live) => {
          if (call.wanted?.() === false) failed(undefined, call, new NotSentError('It came too late.'));
          else send(live, call);
        },
        (error: unknown) => failed(undefined, call, notSent(error)),
      );
    }
  };

  const failed = (live: pg.Client | undefined, call: Call, error: unknown): void => {
    if (live !== undefined && client === live && classifyFault(error) === 'connection') {
      client = undefined;
      void endClient(live);
    }
    call.reject(error);
    next();
  };

  const send = (live: pg.Client, call: Call): void => {
    options.onStatement(call.text);
    sentAt = performance.now();
    watch ??= setTimeout(look, SILENCE_MS).unref();
    if (options.pooled()) {
      live
        .query<(string | null)[]>({
          text: asOneTransaction(call.text, call.params, options.qualify),
          rowMode: 'array',
          types: RAW_TYPES,
        })
        .then(
          (answer: pg.QueryArrayResult | pg.QueryArrayResult[]) => {
            call.resolve((Array.isArray(answer) ? answer.at(-1) : answer)?.rows ?? []);
            next();
          },
          (error: unknown) => failed(live, call, error),
        );
      return;
    }
    const name = statementName(call.text);
    const isNew = !prepared.has(name);
    prepared.add(name);
    const query = new LaneQuery(
      { name, text: options.qualify(call.text), isNew },
      call.params,
      (error, rows) => {
        if (error === null) {
          call.resolve(rows);
          next();
          return;
        }
        // It may be that it could not be prepared.
        prepared.delete(name);
        failed(live, call, error);
      },
    );
    live.query(query);
  };

  /** One timer for all calls, which come by the thousand. */
  const look = (): void => {
    watch = undefined;
    if (!busy || client === undefined) return;
    const leftMs = sentAt + SILENCE_MS - performance.now();
    if (leftMs > 0) watch = setTimeout(look, leftMs).unref();
    else destroyClient(client, 'the server did not answer');
  };

  return {
    call: (text, params, wanted) =>
      new Promise((resolve, reject) => {
        // What a connection did last can be reached from it: with `wanted` so can all that was in the flush, and the process
        // uses a third more CPU to move it around.
        const asked = client === undefined ? wanted : undefined;
        waiting.push({ text, params: params as (string | null)[], wanted: asked, resolve, reject });
        if (!busy) next();
      }),
    close: async () => {
      closed = true;
      clearTimeout(watch);
      const left = client ?? (await connecting?.catch(() => undefined));
      client = undefined;
      if (left !== undefined) await endClient(left);
    },
  };
}

function notSent(error: unknown): unknown {
  if (classifyFault(error) !== 'connection') return error;
  const unsent = new NotSentError((error as Error).message, { cause: error });
  return Object.assign(unsent, { code: errorCode(error) });
}

const RAW_TYPES = { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig;

const statementNames = new Map<string, string>();

/** Prepared once per connection. Postgres takes names of up to 63 bytes, so a text is named by a number. */
function statementName(text: string): string {
  let name = statementNames.get(text);
  if (name === undefined) statementNames.set(text, (name = `pawl_${statementNames.size + 1}`));
  return name;
}

/** What `pg` hands to a query class, as it does to pg-cursor. */
interface Connection {
  readonly stream: { cork(): void; uncork(): void };
  close(statement: { type: 'S'; name: string }): void;
  parse(statement: { name: string; text: string }): void;
  bind(values: { statement: string; values: readonly (string | null)[] }): void;
  execute(portal: object): void;
  sync(): void;
}

/** A query class for `pg`, like pg-cursor: parse if new, bind, execute. The usual one describes each result anew. */
class LaneQuery implements pg.Submittable {
  readonly name: string;
  readonly text: string;
  readonly #isNew: boolean;
  readonly #values: readonly (string | null)[];
  readonly #rows: TextRow[] = [];
  /** `pg` replaces it where it has a time limit of its own. Only its first call counts. */
  callback: (error: unknown, rows: TextRow[]) => void;

  constructor(
    { name, text, isNew }: { name: string; text: string; isNew: boolean },
    values: readonly (string | null)[],
    answered: (error: unknown, rows: TextRow[]) => void,
  ) {
    this.name = name;
    this.text = text;
    this.#isNew = isNew;
    this.#values = values;
    let open = true;
    this.callback = (error, rows) => {
      if (open) answered(error, rows);
      open = false;
    };
  }

  submit(connection: pg.Connection): unknown {
    const { name, text } = this;
    const to = connection as unknown as Connection;
    to.stream.cork();
    try {
      if (this.#isNew) {
        // No error where there is none: a call that failed leaves open whether it was prepared.
        to.close({ type: 'S', name });
        to.parse({ name, text });
      }
      to.bind({ statement: name, values: this.#values });
      to.execute({});
      to.sync();
      return null;
    } catch (error) {
      return error;
    } finally {
      to.stream.uncork();
    }
  }

  handleDataRow({ fields }: { fields: TextRow }): void {
    this.#rows.push(fields);
  }

  handleReadyForQuery(): void {
    this.callback(null, this.#rows);
  }

  handleError(error: unknown): void {
    this.callback(error, []);
  }

  handleRowDescription(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
}
