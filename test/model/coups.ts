// What takes several turns in a row is seldom reached by chance: here it comes at once, in every order. A coup answers
// false if the schedule is not ready for it.
import type { Callers } from './callers.ts';
import type { Connections, Fate } from './connections.ts';
import { dispatchTask } from './dispatch.ts';
import { fate } from './fates.ts';
import type { Process } from './process.ts';
import type { Run } from './run.ts';
import type { Schedule } from './schedule.ts';
import type { Task } from './tasks.ts';
import { LEASE_MS } from './world.ts';

export type Coup = () => Promise<boolean>;

export function pickCoup(schedule: Schedule, connections: Connections, callers: Callers): Coup | undefined {
  const { random, processes } = schedule;
  const idle = (process: Process): boolean =>
    process.state === 'up' && process.paused === 0 && process.control === 0;
  const send = async (task: Task | undefined, how: Fate = fate(random, connections)): Promise<void> => {
    if (task !== undefined) await schedule.issue(task, how, false);
  };

  /** A process sleeps for longer than its lease; a peer takes over, and it wakes up. */
  const overtake: Coup = async () => {
    const sleeper = random.pick(processes);
    const peer = processes.find((each) => each !== sleeper && idle(each));
    if (sleeper.state !== 'up' || sleeper.runs.size === 0 || peer === undefined) return false;
    schedule.pause(sleeper);
    await schedule.pass(LEASE_MS + 100);
    for (let round = 0; round < 4 && peer.next.length === 0; round++) {
      if (!connections.free || peer.control > 0) return true;
      await schedule.through(peer.tick());
      await schedule.pass(250);
    }
    // What this puts there again comes in its turn: it may wait for one that only the schedule lets go on.
    for (let left = peer.next.length; left > 0 && connections.free; left--)
      await schedule.through(peer.next.shift() as Task);
    if (connections.free && peer.control === 0) await send(peer.claim(false));
    sleeper.paused = random.whole(0, 2);
    return true;
  };

  /** What a process runs is cancelled, resumed and claimed by a peer, and word of it is slow. */
  const move: Coup = async () => {
    const owner = processes.find((each) => each.state === 'up' && each.runs.size > 0);
    const peer = processes.find((each) => each !== owner && idle(each));
    if (owner === undefined || peer === undefined) return false;
    const id = random.pick([...owner.runs.keys()]);
    for (const task of [callers.cancel(id), callers.resume(id)]) {
      if (!connections.free) return true;
      await send(task);
    }
    if (connections.free && peer.control === 0) await send(peer.claim(false));
    return true;
  };

  /** A workflow parks while what it waits for happens, in any order. */
  const parkMeanwhile: Coup = async () => {
    for (const process of processes) {
      const run = [...process.runs.values()].find((each) => each.parkable);
      if (!idle(process) || run === undefined || process.flushing > 1) continue;
      const { call } = run.waits[0] as Run['calls'][number];
      const cause = (): Task | undefined => {
        const other = random.pick(processes.filter(idle));
        if (call.kind === 'recv') return callers.send(other, run.id, call.topic);
        if (call.kind !== 'getEvent' && call.kind !== 'getResult') return undefined;
        const runner = processes.find((each) => idle(each) && each.runs.has(call.of));
        return runner === undefined ? callers.start(other, call.of) : write(runner, call.of);
      };
      const turns = [cause, () => park(process, run), cause].slice(random.whole(0, 1));
      for (const make of turns) if (connections.free) await send(make());
      return true;
    }
    return false;
  };

  /** Everybody wants the same workflow: each statement is sent while one before it is not committed. */
  const meet: Coup = async () => {
    const owner = processes.find((each) => idle(each) && each.runs.size > 0 && each.flushing < 2);
    if (owner === undefined || !connections.free) return false;
    const run = random.pick([...owner.runs.values()]);
    const { id } = run;
    const claims = (blocked: boolean) => (): Task | undefined => processes.find(idle)?.claim(blocked);
    const cancels = () => callers.cancel(id);
    const resumes = () => callers.resume(id);
    const writes = () => (run.over ? undefined : (park(owner, run) ?? write(owner, id)));
    const before = random.pick(['running', 'blocked', 'cancelled'] as const);
    if (before === 'blocked') await schedule.through(owner.block(run));
    if (before === 'cancelled') await schedule.through(cancels());
    const all = {
      running: [writes, writes, cancels, claims(false), () => processes.find(idle)?.wake()],
      blocked: [claims(true), claims(true), resumes, resumes, cancels],
      cancelled: [resumes, resumes, claims(false), writes, cancels],
    }[before];
    for (let turns = random.whole(2, 4); turns > 0 && connections.free; turns--)
      await send(random.pick(all)(), { held: random.chance(60), pauseAt: random.chance(20) ? 1 : 0 });
    return true;
  };

  /** A process dies, and its peers take over from it at the same time. */
  const takeOverTogether: Coup = async () => {
    const peers = processes.filter(idle);
    const dead = peers.find((each) => each.runs.size > 0);
    if (dead === undefined || peers.length < 3) return false;
    await schedule.kill(dead);
    await schedule.pass(LEASE_MS + 100);
    const living = peers.filter((each) => each !== dead);
    for (let round = 0; round < 3; round++) {
      for (const peer of living) if (connections.free && idle(peer)) await schedule.through(peer.tick());
      await schedule.pass(300);
    }
    for (let turns = 8; turns > 0 && connections.free; turns--) {
      const peer = random.pick(living);
      if (idle(peer)) await send(peer.next.shift() ?? peer.claim(false));
    }
    return true;
  };

  /** More wait in the queue than it has slots, and several take from it at the same time. */
  const dispatchTogether: Coup = async () => {
    const peers = processes.filter(idle);
    const [first] = peers;
    if (first === undefined || peers.length < 2) return false;
    for (const id of schedule.world.ids)
      if (connections.free) await schedule.through(callers.enqueue(first, id));
    for (let turns = random.whole(2, 4); turns > 0 && connections.free; turns--) {
      const peer = random.pick(peers.filter(idle));
      if (peer === undefined) return true;
      await send(dispatchTask(peer, random.pick([1, 100])), {
        held: random.chance(60),
        pauseAt: random.chance(30) ? random.whole(1, 2) : 0,
      });
    }
    return true;
  };

  const write = (process: Process, id: string): Task | undefined => {
    const offers = process.offers().filter((each) => each.keys[0] === id);
    return offers.length === 0 ? undefined : process.flush(offers);
  };

  if (schedule.world.queued && random.chance(30)) return dispatchTogether;
  return random.pick([undefined, overtake, move, parkMeanwhile, parkMeanwhile, meet, meet, takeOverTogether]);
}

/** It gives up its owner, with nothing but waits left. */
export function park(process: Process, run: Run): Task | undefined {
  if (!run.parkable) return undefined;
  run.park();
  const offers = process.offers().filter((each) => each.keys[0] === run.id);
  return offers.length === 0 ? undefined : process.flush(offers);
}
