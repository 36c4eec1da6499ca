// Owns the heartbeat of the idempotency leases that this process holds: one timer and one query for all of them.
// Never takes or gives up a key; runs only while something is held.
import type { HttpLease } from '../store/http-requests.ts';

/** A timer of Node's that is to wait for longer than 2^31 ms does not wait at all. */
const LONGEST_MS = 60 * 60_000;

export interface LeaseKeeper {
  hold(lease: HttpLease): void;
  /** Not the lease of somebody who has taken the key over, in this process as well. */
  drop(lease: Pick<HttpLease, 'id' | 'owner'>): void;
}

/** @param renew gives the ids that somebody else has taken over meanwhile */
export function leaseKeeper(
  renew: (leases: readonly HttpLease[]) => Promise<readonly string[]>,
  onError: (error: unknown) => void,
): LeaseKeeper {
  const held = new Map<string, HttpLease>();
  let timer: NodeJS.Timeout | undefined;
  let period = Number.POSITIVE_INFINITY;
  let renewing = false;

  async function beat(): Promise<void> {
    if (renewing) return;
    renewing = true;
    try {
      const leases = [...held.values()];
      const lost = new Set(await renew(leases));
      for (const lease of leases) if (lost.has(lease.id)) drop(lease);
    } catch (error) {
      onError(error);
    } finally {
      renewing = false;
    }
  }

  function drop({ id, owner }: Pick<HttpLease, 'id' | 'owner'>): void {
    if (held.get(id)?.owner === owner) held.delete(id);
    if (held.size > 0) return;
    clearInterval(timer);
    timer = undefined;
    period = Number.POSITIVE_INFINITY;
  }

  return {
    hold(lease) {
      held.set(lease.id, lease);
      const wanted = Math.min(Math.max(50, lease.leaseMs / 3), LONGEST_MS);
      if (wanted >= period) return;
      period = wanted;
      clearInterval(timer);
      timer = setInterval(() => void beat(), period);
      timer.unref();
    },
    drop,
  };
}
