// One process per embedded directory. A lock file names the process and when the machine says it started, so that
// a number that was given to another process after a crash does not keep the directory locked.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigurationError } from '../errors/index.ts';

const held = new Set<string>();

/** Takes the directory, or throws `ConfigurationError` that names its holder. Returns what gives it back. */
export function lockDirectory(directory: string): () => void {
  const file = join(directory, 'pawl.lock');
  const mine = `${process.pid} ${startOf(process.pid)}`;
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(file, mine, { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = readHolder(file);
      if (holder !== undefined && (held.has(directory) || isAlive(holder))) {
        throw new ConfigurationError(
          `The embedded database in ${directory} is in use by process ${holder.pid}. An embedded database serves one ` +
            'process: stop the other one, choose another directory, or set DATABASE_URL to a Postgres server, which serves many.',
        );
      }
      if (attempt > 5)
        throw new ConfigurationError(`The lock file ${file} could not be taken over.`, { cause: error });
      rmSync(file, { force: true });
    }
  }
  held.add(directory);
  return () => {
    held.delete(directory);
    rmSync(file, { force: true });
  };
}

interface Holder {
  pid: number;
  start: string;
}

function readHolder(file: string): Holder | undefined {
  try {
    const [pid = '', start = ''] = readFileSync(file, 'utf8').split(' ');
    return Number(pid) > 0 ? { pid: Number(pid), start } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.pid === process.pid) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const start = startOf(holder.pid);
  return start === '' || start === holder.start;
}

/** When a process started, in the kernel's own count; '' where /proc does not tell. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
