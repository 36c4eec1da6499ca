// Whose code a process was in, from the CPU profiles that Node wrote. Pure but for reading the files.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

interface CpuProfile {
  nodes: readonly {
    id: number;
    callFrame: { functionName: string; url: string };
    children?: readonly number[];
  }[];
  startTime: number;
  endTime: number;
  samples: readonly number[];
  /** Microseconds before each sample. */
  timeDeltas: readonly number[];
}

const core = /packages\/core\/dist\/(\w+)/;

/** Shares of the time in which the process that runs Pawl was busy, by owner of the code, in the second half of its life. */
export async function readShares(directory: string): Promise<Map<string, number>> {
  for (const file of await readdir(directory)) {
    const profile = JSON.parse(await readFile(path.join(directory, file), 'utf8')) as CpuProfile;
    // The process that makes the requests has a profile as well.
    if (profile.nodes.some(({ callFrame }) => core.test(callFrame.url))) return sharesOf(profile);
  }
  throw new Error(`No profile in ${directory} has a function of Pawl.`);
}

function sharesOf({ nodes, startTime, endTime, samples, timeDeltas }: CpuProfile): Map<string, number> {
  const owners = new Map<number, string>();
  const parents = new Map(nodes.flatMap(({ id, children }) => (children ?? []).map((child) => [child, id])));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  for (const { id } of nodes) {
    // What V8 brings along, such as JSON.parse, belongs to who called it.
    let at: number | undefined = id;
    let owner: string | undefined;
    while (at !== undefined && owner === undefined) {
      const frame = frames.get(at);
      owner = frame && ownerOf(frame);
      at = parents.get(at);
    }
    owners.set(id, owner ?? 'the benchmark');
  }
  const micros = new Map<string, number>();
  let elapsed = 0;
  let busy = 0;
  for (const [index, sample] of samples.entries()) {
    const delta = timeDeltas[index] ?? 0;
    elapsed += delta;
    const owner = owners.get(sample) ?? '';
    if (elapsed < (endTime - startTime) / 2 || owner === idle) continue;
    busy += delta;
    micros.set(owner, (micros.get(owner) ?? 0) + delta);
  }
  return new Map([...micros].map(([owner, used]) => [owner, used / busy]));
}

const idle = 'idle';

function ownerOf({ functionName, url }: { functionName: string; url: string }): string | undefined {
  if (functionName === '(idle)') return idle;
  if (functionName === '(garbage collector)') return 'garbage collection';
  // Mostly writing to sockets and reading from them.
  if (functionName === '(program)') return 'Node: native code';
  const [, part] = core.exec(url) ?? [];
  if (part !== undefined) return `@pawl/core ${part}`;
  const [, adapter] = /packages\/(express|koa)\/dist\//.exec(url) ?? [];
  if (adapter !== undefined) return `@pawl/${adapter}`;
  const packageName = url
    .split('node_modules/')
    .at(-1)
    ?.match(/^(?:@[^/]+\/)?[^/]+/)?.[0];
  if (url.includes('node_modules/')) return packageName;
  if (url.startsWith('node:')) return 'Node';
  return url === '' ? undefined : 'the benchmark';
}
