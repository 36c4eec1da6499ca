// The part of the page about where the figures come from: the machine, the server's settings, and the runs.
import type { Run } from './gather.ts';
import { markdownTable, paragraph } from './markdown.ts';

export function machineSection(runs: readonly Run[]): string[] {
  return [
    '## Machine',
    paragraph(
      'The server and all processes share the cores of one machine. Absolute figures are of this one, and move by 30% between ' +
        'runs; ratios within a run are what can be compared.',
    ),
    machineTable(runs),
    markdownTable(
      [
        'results',
        'what is taken from it',
        'measured',
        'commit',
        'rounds',
        'seconds: warm-up, measured',
        'versions',
      ],
      runs.map(({ file, taken, finishedAt, commit, settings, versions }) => [
        file,
        taken.join(', '),
        finishedAt.slice(0, 10),
        commit ?? '',
        String(settings.rounds),
        settings.seconds === undefined ? '' : `${settings.warmupSeconds}, ${settings.seconds}`,
        Object.entries(versions)
          .map(([name, version]) => `${name} ${version}`)
          .join(', '),
      ]),
    ),
  ];
}

/** One column for all runs with the same machine and server. */
function machineTable(runs: readonly Run[]): string {
  const columns = new Map<string, { files: string[]; cells: string[] }>();
  for (const run of runs) {
    const cells = rows.map(([, valueOf]) => valueOf(run) ?? '');
    const column = columns.get(JSON.stringify(cells)) ?? { files: [], cells };
    columns.set(JSON.stringify(cells), { ...column, files: [...column.files, run.file] });
  }
  const all = [...columns.values()];
  return markdownTable(
    ['', ...all.map(({ files }) => (all.length === 1 ? '' : files.join(', ')))],
    rows.map(([name], index) => [name, ...all.map(({ cells }) => cells[index] ?? '')]),
  );
}

type Row = readonly [name: string, valueOf: (run: Run) => string | undefined];

const rows: readonly Row[] = [
  ['CPU', ({ machine }) => machine.cpu],
  ['cores', ({ machine }) => String(machine.cores)],
  ['memory', ({ machine }) => `${machine.memoryGiB} GiB`],
  ['system', ({ machine }) => machine.platform],
  ['Node', ({ versions }) => versions['node']],
  ['Postgres', ({ server }) => server['server_version']],
  // As the server itself says.
  ...[
    'fsync',
    'synchronous_commit',
    'full_page_writes',
    'wal_sync_method',
    'shared_buffers',
    'max_wal_size',
  ].map((setting): Row => [setting, ({ server }) => server[setting]]),
];
