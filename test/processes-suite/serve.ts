// The side of a program that a test calls (process.ts is the other).
/** What a program offers: `serve` takes them, `call` names them. */
export type Methods = Record<string, (...args: never[]) => unknown>;

export interface Request {
  id: number;
  method: string;
  args: unknown[];
}

export interface Reply {
  id: number;
  value?: unknown;
  error?: string;
}

/** The other side: answers calls, and ends the process when nobody is left to call. */
export function serve(methods: Methods): void {
  process.on('message', ({ id, method, args }: Request) => {
    Promise.resolve()
      .then(() => methods[method]?.(...(args as never[])))
      .then(
        (value) => ({ id, value }),
        (error: unknown) => ({
          id,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
      )
      .then((reply: Reply) => process.send?.(reply))
      .catch(() => {});
  });
  process.on('disconnect', () => process.exit());
}
