// One seed: simulated processes and callers on real connections, in an order that the seed decides; crashes, pauses and
// lost answers among them. Then everything comes to rest, one process takes over, and all must end as it should.
import type { QueuedPart, StartPart } from '../../packages/core/src/store/operations.ts';
import { createRandom, type Random } from '../determinism/random.ts';
import { type Callers, createCallers } from './callers.ts';
import type { Connections, Fate, Statement } from './connections.ts';
import { park, pickCoup } from './coups.ts';
import { checkLimit, dispatchTask } from './dispatch.ts';
import { fate, some, told } from './fates.ts';
import { Oracle, Violation } from './oracle.ts';
import { Process } from './process.ts';
import type { Shared, Task } from './tasks.ts';
import { LEASE_MS, makeWorld, NAME, VERSION, type World } from './world.ts';

export interface Slot {
  readonly connections: Connections;
  readonly lockClass: number;
}

interface UnderWay {
  task: Task;
  sent: number;
  /** Its answer will not arrive. */
  lost: boolean;
}

/** What may go wrong with an honest statement: a deadlock, a broken-off wait, a row that was there after all. */
const HONEST = new Set(['40P01', '57014', 'rolled back']);

export class Schedule implements Shared {
  readonly random: Random;
  readonly world: World;
  readonly oracle = new Oracle();
  readonly processes: Process[] = [];
  /** Written out only if it fails. */
  readonly trace: (() => string)[] = [];
  readonly lockClass: number;
  readonly maxAttempts: number;
  readonly #connections: Connections;
  readonly #callers: Callers;
  readonly #underWay = new Map<Statement, UnderWay>();
  #stamp = 0;
  #now = 0;
  #starts = 0;

  readonly seed: number;

  constructor(seed: number, slot: Slot) {
    this.seed = seed;
    this.random = createRandom(seed);
    this.world = makeWorld(seed, this.random);
    this.#connections = slot.connections;
    this.lockClass = slot.lockClass;
    this.maxAttempts = this.world.maxAttempts;
    this.#callers = createCallers(this);
  }

  now = (): number => this.#now;

  stamp = (): number => ++this.#stamp;

  startPart(id: string, extra: Record<string, unknown>, queued?: QueuedPart): StartPart {
    this.#starts++;
    return {
      workflowID: id,
      nonce: `n${this.seed}-${this.#starts}`,
      // As in the engine: one that no earlier run of this id can have.
      fence: this.#starts * 1000,
      name: NAME,
      version: queued !== undefined ? null : VERSION,
      input: '[]',
      chosen: true,
      extra: Object.keys(extra).length === 0 ? null : JSON.stringify(extra),
      ...(queued !== undefined && { queued }),
    };
  }

  /** The disorder. */
  async disorder(): Promise<void> {
    const { random } = this;
    const count = random.whole(2, 3);
    for (let i = 0; i < count; i++) await this.launch();
    let coup = pickCoup(this, this.#connections, this.#callers);
    let peace = random.whole(3, 12);
    for (let turns = random.whole(10, 28); turns > 0; turns--) {
      if (peace-- <= 0 && coup !== undefined && (await coup())) coup = undefined;
      const actions = this.#actions();
      let left = random.next() * actions.reduce((sum, [weight]) => sum + weight, 0);
      const chosen = actions.find(([weight]) => (left -= weight) < 0) ?? actions[0];
      await chosen?.[1]();
      if (this.world.queued) await checkLimit(this.eye);
      for (const process of this.processes) if (process.paused > 0) process.paused--;
      this.#deliver();
      for (const process of this.processes)
        if (process.lost && process.state === 'up') await this.#startOver(process);
    }
    await this.drain();
  }

  /** Lets everything that is under way come to its end. */
  async drain(): Promise<void> {
    for (let live = this.#connections.live; live.length > 0; live = this.#connections.live) {
      const next = live.find((each) => each.state === 'open' || each.state === 'paused');
      if (next === undefined)
        throw new Error(`Stuck: ${live.map((each) => `${each.label} ${each.state}`).join('; ')}`);
      await this.#let(next, 'commit');
    }
  }

  /** Rolls back whatever is under way, after a failure. */
  async abandon(): Promise<void> {
    for (let live = this.#connections.live; live.length > 0; live = this.#connections.live) {
      const open = live.find((each) => each.state === 'open');
      const paused = live.find((each) => each.state === 'paused');
      if (open !== undefined) await this.#connections.rollback(open);
      else if (paused !== undefined) await this.#connections.commit(paused);
      else await this.#connections.cancel(live[0] as Statement);
    }
  }

  /** Sends a statement that goes through, and takes its answer. */
  async through(task: Task): Promise<void> {
    await this.issue(task, { held: false, pauseAt: 0 }, false);
  }

  async launch(): Promise<Process> {
    const number = this.processes.length + 1;
    // A session does not stand in its own way.
    const locked = this.random.chance(60) && this.#connections.concurrent;
    await this.#register(number, locked);
    const process = new Process(number, locked, this, this.stamp());
    this.processes.push(process);
    this.#note(`   process ${number} is launched${locked ? ', with a lock' : ''}`);
    return process;
  }

  async kill(process: Process): Promise<void> {
    process.state = 'dead';
    this.#note(`   process ${process.number} dies`);
    await this.#unlock(process);
  }

  async pass(ms: number): Promise<void> {
    this.#now += ms;
    this.#note(`   ${ms} ms pass`);
    await this.eye.call(`SELECT setval('pawl.model_time', nextval('pawl.model_time') + $1::bigint)`, [
      String(ms * 1000),
    ]);
  }

  get eye(): Connections['eye'] {
    return this.#connections.eye;
  }

  async #register(number: number, locked: boolean): Promise<void> {
    await this.eye.call('SELECT pawl.model_register($1, $2, $3, $4)', [
      String(number),
      String(this.lockClass),
      String(locked),
      String(LEASE_MS),
    ]);
  }

  async #unlock(process: Process): Promise<void> {
    if (!process.locked) return;
    await this.eye.call('SELECT pg_advisory_unlock($1, $2)', [
      String(this.lockClass),
      String(process.number),
    ]);
  }

  async #startOver(process: Process): Promise<void> {
    await this.#unlock(process);
    const number = process.number + 100;
    this.#note(`   process ${process.number} starts over as ${number}`);
    await this.#register(number, process.locked);
    process.next.push(process.startOver(number, this.stamp()));
  }

  #actions(): [number, () => Promise<void>][] {
    const actions: [number, () => Promise<void>][] = [];
    const { random } = this;
    for (const statement of this.#connections.live) {
      const under = this.#underWay.get(statement);
      if (statement.state === 'open' || statement.state === 'paused')
        actions.push([4, () => this.#let(statement, 'commit')]);
      if (statement.state === 'open') actions.push([0.6, () => this.#let(statement, 'rollback')]);
      if (statement.state === 'blocked') actions.push([0.3, () => this.#let(statement, 'cancel')]);
      if (under?.task.by !== undefined && !under.lost)
        actions.push([0.5, () => Promise.resolve(this.#lose(under))]);
    }
    actions.push([0.8, () => this.pass(random.pick([10, 40, 600, 1100, 3000]))]);
    for (const process of this.processes) {
      if (process.state === 'dead') continue;
      actions.push([0.3, () => this.kill(process)]);
      if (process.paused === 0) actions.push([0.4, () => Promise.resolve(this.pause(process))]);
    }
    if (this.processes.filter((each) => each.state === 'up').length < 2)
      actions.push([3, async () => void (await this.launch())]);
    if (!this.#connections.free) return actions;
    const send = (weight: number, make: () => Task | undefined): void => {
      actions.push([
        weight,
        async () => {
          const task = make();
          if (task !== undefined)
            await this.issue(task, fate(this.random, this.#connections), random.chance(12));
        },
      ]);
    };
    const up = this.processes.filter((each) => each.state === 'up' && each.paused === 0);
    this.#callers.actions(up, send);
    for (const process of up) {
      const offers = process.offers();
      if (process.flushing < 2) {
        if (offers.length > 0) send(5, () => process.flush(some(random, offers)));
        if (process.again.length > 0) send(3, () => process.flushAgain());
        const parkable = [...process.runs.values()].filter((run) => run.parkable);
        if (parkable.length > 0) send(3, () => park(process, random.pick(parkable)));
      }
      if (process.control > 0) continue;
      send(process.ready ? 3 : 0.2, () => process.claim(random.chance(15), random.pick([1, 100])));
      if (this.world.queued)
        send(process.queued ? 2 : 0.2, () => dispatchTask(process, random.pick([1, 100])));
      if (process.next.length > 0)
        send(3, () => process.next.splice(random.whole(0, process.next.length - 1), 1)[0]);
      send(1.2, () => process.tick());
      const runs = [...process.runs.values()];
      send(0.15, () => process.strand());
      if (runs.length > 0) send(0.15, () => process.block(random.pick(runs)));
      if (process.flushing === 0 && process.again.length === 0 && process.claiming === 0)
        actions.push([0.15, () => this.#stop(process)]);
    }
    return actions;
  }

  /** Hands over and retires, as at a shutdown. */
  async #stop(process: Process): Promise<void> {
    this.#note(`   process ${process.number} stops`);
    process.state = 'stopping';
    for (const run of [...process.runs.values()]) run.leave();
    await this.through(process.release(process.number, false));
    if (this.#connections.free) await this.through(process.retire());
    await this.kill(process);
  }

  async issue(task: Task, how: Fate, lost: boolean): Promise<void> {
    const sent = this.stamp();
    task.sent?.(sent);
    if (task.control === true && task.by !== undefined) task.by.control++;
    const at = this.trace.push(() => '') - 1;
    const label = `${task.by === undefined ? 'caller' : `process ${task.by.number}`}: ${task.label}`;
    const statement = await this.#connections.send(label, task.work, how);
    const { state } = statement;
    this.trace[at] = () => `${sent} ${label}: ${state}`;
    const under = { task, sent, lost: false };
    this.#underWay.set(statement, under);
    if (lost) this.#lose(under);
    this.#collect();
  }

  #lose(under: UnderWay): void {
    under.lost = true;
    this.#note(`   the answer to ${under.sent} is lost`);
    this.#tell(under.task, (task) => task.lose());
  }

  async #let(statement: Statement, how: 'commit' | 'rollback' | 'cancel'): Promise<void> {
    const { sent } = this.#underWay.get(statement) as UnderWay;
    this.#note(`   ${statement.state === 'paused' ? 'goes on' : how}: ${sent}`);
    await this.#connections[how](statement);
    this.#collect();
  }

  /** Those that are through: the oracle sees all of them, the process what arrives. */
  #collect(): void {
    const through = [...this.#underWay].filter(([statement]) => statement.state === 'done');
    this.oracle.deleting = new Set(
      through.flatMap(([{ answer, error }, { task }]) =>
        error === undefined ? (task.forgets?.(answer) ?? []) : [],
      ),
    );
    for (const [statement, under] of through) {
      this.#underWay.delete(statement);
      const { task, sent } = under;
      const done = this.stamp();
      if (statement.error !== undefined) {
        const { code, message } = statement.error as { code?: string; message: string };
        if (!HONEST.has(code ?? message))
          throw new Violation(`${statement.label}: ${message}`, { cause: statement.error });
        this.#note(`${done} ${sent} failed: ${message}`);
        if (!under.lost) this.#tell(task, () => task.lose());
        continue;
      }
      this.trace.push(() => `${done} ${sent} is done: ${told(statement.answer)}`);
      task.seen(statement.answer, { sent, done });
      if (!under.lost) this.#tell(task, () => task.settle(statement.answer));
    }
  }

  /** An answer, or that there is none, comes to a process, unless it is dead, and not before it is awake. */
  #tell(task: Task, what: (task: Task) => void): void {
    const { by } = task;
    const tell = (): void => {
      if (task.control === true && by !== undefined) by.control--;
      what(task);
    };
    if (by === undefined || (by.state !== 'dead' && by.paused === 0)) tell();
    else if (by.state !== 'dead') by.inbox.push(tell);
  }

  #deliver(): void {
    for (const process of this.processes)
      if (process.paused === 0 && process.state !== 'dead')
        for (const what of process.inbox.splice(0)) what();
  }

  #note(what: string): void {
    this.trace.push(() => what);
  }

  pause(process: Process): void {
    process.paused = this.random.whole(3, 10);
    this.#note(`   process ${process.number} is paused`);
  }
}
