// `pnpm check`: every rule that a program can check. It runs them all and ends with a table of what held.
// `pnpm check types lint` runs only those named.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

interface Check {
  readonly name: string;
  /** Commands, run one after the other until one fails. */
  readonly commands: readonly (readonly string[])[];
}

const checks: readonly Check[] = [
  { name: 'types', commands: [['tsc', '-b']] },
  { name: 'format', commands: [['oxfmt', '--check']] },
  { name: 'lint', commands: [['oxlint', '--deny-warnings']] },
  {
    name: 'layers',
    commands: [
      [
        'depcruise',
        '--config',
        '.dependency-cruiser.mjs',
        'packages',
        'examples',
        'test',
        'bench',
        'scripts',
      ],
    ],
  },
  { name: 'files', commands: [['node', '--import', 'tsx', 'scripts/files.ts']] },
  { name: 'unused', commands: [['knip']] },
  {
    name: 'packages',
    commands: [
      ['tsc', '-b', 'packages/core', 'packages/express', 'packages/koa'],
      ['node', '--import', 'tsx', 'scripts/packages.ts'],
    ],
  },
];

async function run(check: Check): Promise<boolean> {
  const start = performance.now();
  let output = '';
  let held = true;
  for (const [command = '', ...args] of check.commands) {
    try {
      await promisify(execFile)(command, args, { maxBuffer: 64 * 1024 * 1024 });
    } catch (error) {
      held = false;
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
      output = `${stdout}${stderr}` || String(error);
      break;
    }
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${held ? 'ok    ' : 'FAILED'}  ${check.name.padEnd(10)} ${seconds.padStart(5)} s`);
  if (!held) console.log(output.trim().replace(/^/gm, '    '));
  return held;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !checks.some((check) => check.name === name));
if (unknown.length > 0) {
  console.error(
    `No such check: ${unknown.join(', ')}. There are: ${checks.map((check) => check.name).join(', ')}.`,
  );
  process.exit(2);
}

const chosen = checks.filter((check) => wanted.length === 0 || wanted.includes(check.name));
const failed: string[] = [];
for (const check of chosen) {
  if (!(await run(check))) failed.push(check.name);
}
console.log(failed.length === 0 ? `All ${chosen.length} checks held.` : `Failed: ${failed.join(', ')}.`);
process.exitCode = failed.length === 0 ? 0 : 1;
