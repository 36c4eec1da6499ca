// Puts this process's clock forward or back, for all that is imported after it. Timers and performance.now() are
// left as they are, as on a machine whose clock is wrong.
const ahead = Number(process.env['CLOCK_AHEAD_MS'] ?? 0);

const RealDate = Date;

/** What a clock on the wall shows, in milliseconds of the epoch. */
export const trueNow = (): number => RealDate.now();

if (ahead !== 0) {
  globalThis.Date = class SkewedDate extends RealDate {
    constructor(...args: [] | ConstructorParameters<typeof RealDate>) {
      if (args.length === 0) super(RealDate.now() + ahead);
      else super(...args);
    }
    static override now(): number {
      return RealDate.now() + ahead;
    }
  } as DateConstructor;
}
