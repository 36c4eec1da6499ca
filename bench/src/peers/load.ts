// The contenders by name. Imported on demand, so that no contender's process holds the code of another.
import type { Contender } from '../contract.ts';
import type { MessagePeer } from './message-peer.ts';
import type { QueuePeer } from './queue-peer.ts';

export async function queuePeerOf(contender: Contender): Promise<QueuePeer> {
  switch (contender) {
    case 'pawl':
      return (await import('./queue-pawl.ts')).pawlQueue;
    case 'dbos':
      return (await import('./queue-dbos.ts')).dbosQueue;
    case 'graphile-worker':
      return (await import('./queue-graphile.ts')).graphileQueue;
    case 'openworkflow':
      return (await import('./queue-openworkflow.ts')).openWorkflowQueue;
    case 'pg-boss':
      return (await import('./queue-pg-boss.ts')).pgBossQueue;
    case 'absurd':
      return (await import('./queue-absurd.ts')).absurdQueue;
    case 'restate':
    case 'bare':
      throw new Error(`${contender} has no queue here.`);
  }
}

export async function messagePeerOf(contender: Contender): Promise<MessagePeer> {
  if (contender === 'pawl') return (await import('./message-pawl.ts')).pawlMessages;
  if (contender === 'dbos') return (await import('./message-dbos.ts')).dbosMessages;
  if (contender === 'restate') return (await import('./message-restate.ts')).restateMessages;
  throw new Error(`${contender} has no messages.`);
}
