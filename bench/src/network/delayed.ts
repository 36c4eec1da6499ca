// One direction of a connection, made longer: what comes in goes out a constant time later. Any number of chunks are
// under way at once and keep their order, as on a long cable; it is no limit of bandwidth.
import type { Socket } from 'node:net';

export function delayed(from: Socket, to: Socket, delayMs: number): void {
  // The order is that of this queue, whatever the order in which timers of one moment fire. Nothing slows the sender down:
  // what is held here is no more than what a database connection has under way.
  const underWay: (() => void)[] = [];
  const later = (act: () => void): void => {
    underWay.push(act);
    setTimeout(() => underWay.shift()?.(), delayMs);
  };
  from.setNoDelay(true);
  from.on('data', (chunk) => later(() => void to.write(chunk)));
  from.on('end', () => later(() => void to.end()));
  // Also what is written to a side that is gone already ends here.
  from.on('error', () => to.destroy());
}
