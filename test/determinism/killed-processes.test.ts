// The random programs once more, in real processes that are killed with SIGKILL, one taking over from the other.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { completedSteps } from './generations.ts';
import { inspect } from './inspect.ts';
import { createRandom } from './random.ts';
import { createRecorder } from './recorder.ts';
import { programsOf, replaySeen, type Seen } from './seen.ts';
import { serverWorld } from './settings.ts';

const PROGRAMS = 60;
const KILLS = 5;
const FILE = new URL('./processes/programs.ts', import.meta.url).pathname;
const seed = Number(process.env['PAWL_SEED'] ?? 1);

const server = serverWorld();
let directory: string;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'pawl-programs-'));
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

interface Standby {
  child: ChildProcess;
  /** True if it saw all workflows end. */
  ended: Promise<boolean>;
}

/** A process that only waits for the word to begin. */
async function standBy(file: string): Promise<Standby> {
  const child = spawn(
    process.execPath,
    [
      '--import',
      'tsx',
      '--conditions=@pawl/source',
      FILE,
      server().url,
      String(seed),
      String(PROGRAMS),
      file,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  children.add(child);
  let done = false;
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const ready = once(lines, 'line');
  lines.on('line', (line) => (done ||= line === 'done'));
  const ended = once(child, 'exit').then(() => {
    children.delete(child);
    return done;
  });
  await Promise.race([ready, ended]);
  return { child, ended };
}

test(`${PROGRAMS} programs over ${KILLS} kills, seed ${seed}`, async () => {
  const random = createRandom(seed);
  const file = path.join(directory, 'seen');
  await appendFile(file, '');
  const processes = await Promise.all(Array.from({ length: KILLS + 1 }, () => standBy(file)));
  for (const [i, { child, ended }] of processes.entries()) {
    child.stdin?.write('begin\n');
    if (i === KILLS) {
      expect(await ended).toBe(true);
      break;
    }
    // Somewhere in the next part of the work.
    const before = (await stat(file)).size;
    const until = before + random.whole(2000, 25_000);
    const gone = ended.then(() => 'ended' as const);
    while ((await stat(file)).size < until) {
      const end = await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 2))]);
      expect(end, 'it ended before it could be killed').not.toBe('ended');
    }
    // The next one is there already, as in a cluster, or comes later.
    if (random.chance(50)) processes[i + 1]?.child.stdin?.write('begin\n');
    child.kill('SIGKILL');
    await ended;
    // What it committed was committed by now; nobody may run that again.
    const recorded: Seen = { what: 'recorded', keys: await completedSteps(server()) };
    await appendFile(file, `${JSON.stringify(recorded)}\n`);
  }

  const text = await readFile(file, 'utf8');
  const seen = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Seen);
  const recorder = createRecorder();
  const endings = replaySeen(seen, recorder);
  expect(recorder.violations).toEqual([]);
  expect(
    await inspect({ world: server(), workflows: programsOf(seed, PROGRAMS), recorder, endings }),
  ).toEqual([]);
  const bodies = seen.filter((line) => line.what === 'body').length;
  expect(bodies, 'no workflow was recovered').toBeGreaterThan(PROGRAMS);
}, 120_000);
