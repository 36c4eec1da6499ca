// How many workflows of which queue this process has in memory: what counts against a limit per process.

export class Slots {
  readonly #counts = new Map<string, number>();
  #total = 0;

  take(queue: string): void {
    this.#total++;
    this.#counts.set(queue, (this.#counts.get(queue) ?? 0) + 1);
  }

  free(queue: string): void {
    this.#total--;
    const count = (this.#counts.get(queue) ?? 0) - 1;
    if (count > 0) this.#counts.set(queue, count);
    else this.#counts.delete(queue);
  }

  /** Over all queues. */
  get total(): number {
    return this.#total;
  }

  /** By queue; those without any are not in it. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }
}
