// Owns the heartbeat of the idempotency leases that this process holds: one timer and one query for all of them.
// Never takes or gives up a key; runs only while something is held.
import type { HttpLease } from '../store/http-requests.ts';

export interface LeaseKeeper {
  hold(lease: HttpLease): void;
  drop(id: string): void;
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
      for (const id of await renew(leases)) if (leases.includes(held.get(id) as HttpLease)) drop(id);
    } catch (error) {
      onError(error);
    } finally {
      renewing = false;
    }
  }

  function drop(id: string): void {
    held.delete(id);
    if (held.size > 0) return;
    clearInterval(timer);
    timer = undefined;
    period = Number.POSITIVE_INFINITY;
  }

  return {
    hold(lease) {
      held.set(lease.id, lease);
      const wanted = Math.max(50, lease.leaseMs / 3);
      if (wanted >= period) return;
      period = wanted;
      clearInterval(timer);
      timer = setInterval(() => void beat(), period);
      timer.unref();
    },
    drop,
  };
}
