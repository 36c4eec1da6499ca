// Databases whose clients can be cut off at a chosen call, as by the death of their process: the call is not sent, or
// it is carried out and its answer never comes. What the dead one had open is rolled back; it hears nothing more.

import { Socket } from 'node:net';
import type { PGlite, PGliteInterface, Transaction } from '@electric-sql/pglite';
import type { PawlConfig } from '@pawl/core';

/** Something happens at the `at`th call to the database: it is not sent, or sent and its answer is lost. */
export interface Moment {
  at: number;
  when: 'before' | 'after';
}

export interface Fate {
  /** The process dies. */
  death?: Moment | undefined;
  /** A connection breaks, and the process lives on. Only to a server. */
  faults: readonly Moment[];
}

export interface CutDatabase {
  readonly database: Exclude<PawlConfig['database'], undefined>;
  readonly dead: boolean;
  readonly death: Promise<void>;
  /** The process dies now. */
  kill(): void;
}

const never = new Promise<never>(() => {});

class Countdown {
  dead = false;
  readonly death: Promise<void>;
  #calls = 0;
  #die: () => void = () => {};
  readonly #fate: Fate;

  constructor(fate: Fate) {
    this.#fate = fate;
    this.death = new Promise((resolve) => {
      this.#die = resolve;
    });
  }

  /** Counts a call and says what becomes of it. */
  next(): 'dies before' | 'dies after' | 'breaks before' | 'breaks after' | undefined {
    const call = ++this.#calls;
    const { death, faults } = this.#fate;
    if (death !== undefined && call >= death.at) return `dies ${death.when}`;
    const fault = faults.find(({ at }) => at === call);
    return fault === undefined ? undefined : `breaks ${fault.when}`;
  }

  die(): void {
    this.dead = true;
    this.#die();
  }
}

/** The embedded database, which outlives its clients here. */
export function cutEmbedded(real: PGlite, fate: Fate): CutDatabase {
  const countdown = new Countdown(fate);

  const through = async <T>(call: () => Promise<T>): Promise<T> => {
    if (countdown.dead) return never;
    const end = countdown.next();
    if (end === 'dies before') {
      countdown.die();
      return never;
    }
    try {
      return await call();
    } finally {
      if (end === 'dies after') countdown.die();
      if (countdown.dead) await never;
    }
  };

  const transaction = async <T>(body: (tx: Transaction) => Promise<T>): Promise<T> => {
    if (countdown.dead) return never;
    const cut = countdown.death.then(() => {
      throw new Error('The client died.');
    });
    cut.catch(() => {});
    let end: ReturnType<Countdown['next']>;
    try {
      return await real.transaction(async (tx) => {
        const wrapped = {
          query: (text: string, params?: unknown[]) => through(() => tx.query(text, params)),
        } as Transaction;
        const value = await Promise.race([body(wrapped), cut]);
        end = countdown.next();
        if (end === 'dies before') countdown.die();
        if (countdown.dead) await cut;
        return value;
      });
    } finally {
      if (end === 'dies after') countdown.die();
      if (countdown.dead) await never;
    }
  };

  const database = new Proxy(real, {
    get: (target, key) => {
      if (key === 'query') {
        return (text: string, params?: unknown[], options?: object) =>
          through(() => target.query(text, params, options));
      }
      if (key === 'exec')
        return (text: string, options?: object) => through(() => target.exec(text, options));
      if (key === 'transaction') return transaction;
      const value = Reflect.get(target, key) as unknown;
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  }) as PGliteInterface;
  return describe(database, countdown);
}

/** What makes a server act: Sync, or a simple query. */
const ACTS = new Set(['S'.charCodeAt(0), 'Q'.charCodeAt(0)]);

/** A server, over sockets that can be cut. */
export function cutServer(url: string, fate: Fate): CutDatabase {
  const countdown = new Countdown(fate);
  const sockets = new Set<CutSocket>();
  void countdown.death.then(() => {
    for (const socket of sockets) socket.silence();
  });

  class CutSocket extends Socket {
    /** What happens when the answer to what was sent last arrives. */
    #end: 'dies after' | 'breaks after' | undefined;

    constructor() {
      super();
      sockets.add(this);
      this.once('close', () => sockets.delete(this));
    }

    override connect(...args: unknown[]): this {
      if (countdown.dead) return this;
      (super.connect as (...all: unknown[]) => this).apply(this, args);
      // It gave itself the write() of every socket; ours is the one below.
      delete (this as { write?: unknown }).write;
      return this;
    }

    override write(...args: unknown[]): boolean {
      if (countdown.dead) return true;
      const message = args[0];
      if (Buffer.isBuffer(message) && ACTS.has(message[0] as number)) {
        const end = countdown.next();
        if (end === 'dies before') {
          countdown.die();
          return true;
        }
        if (end === 'breaks before') {
          this.#break();
          return true;
        }
        this.#end ??= end;
      }
      return (super.write as (...all: unknown[]) => boolean).apply(this, args);
    }

    override emit(event: string | symbol, ...args: unknown[]): boolean {
      if (event === 'data' && this.#end === 'dies after') countdown.die();
      if (event === 'data' && this.#end === 'breaks after') this.#break();
      if (event === 'data' && (this.#end !== undefined || countdown.dead)) return true;
      return super.emit(event, ...args);
    }

    override destroy(error?: Error): this {
      if (countdown.dead) this.#forget();
      return super.destroy(countdown.dead ? undefined : error);
    }

    #break(): void {
      this.destroy(Object.assign(new Error('The connection broke.'), { code: 'ECONNRESET' }));
    }

    /** The client hears nothing more; the server sees the end of the connection after what it was sent. */
    silence(): void {
      this.#forget();
      this.resume();
      this.end();
    }

    #forget(): void {
      this.removeAllListeners();
      this.on('error', () => {});
    }
  }

  // Without a timeout, so that the dead do not try again and again.
  const options = { connectionString: url, max: 4, connectionTimeoutMillis: 0 };
  return describe({ ...options, stream: () => new CutSocket() }, countdown);
}

function describe(database: CutDatabase['database'], countdown: Countdown): CutDatabase {
  return {
    database,
    get dead() {
      return countdown.dead;
    },
    death: countdown.death,
    kill: () => countdown.die(),
  };
}
