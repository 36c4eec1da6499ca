// Writes the page about speed from the results that runs left behind, and its plots beside it. Measures nothing; the same
// results give the same bytes.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { curves } from '../growth/curves.ts';
import type { PageOptions } from '../options.ts';
import { progress } from '../progress.ts';
import { scenarios } from '../scenarios/index.ts';
import { curvePlot, curveSection, type MeasuredCurve } from './curve-section.ts';
import { type Gathered, gatherResults, type Run } from './gather.ts';
import { machineSection } from './machine-section.ts';
import { commands, paragraph } from './markdown.ts';
import { scenarioSection } from './scenario-section.ts';
import { statementSection } from './statement-section.ts';

const pageName = 'benchmarks';

export async function writePage({ from, out }: PageOptions): Promise<void> {
  const gathered = await gatherResults(from);
  // In the order of the program, whatever order they were measured in.
  const measuredScenarios = scenarios.flatMap(({ id }) => gathered.scenarios.get(id) ?? []);
  const measuredCurves = curves.flatMap((curve): MeasuredCurve[] => {
    const results = gathered.curves.get(curve.id);
    return results === undefined || results.points.length === 0 ? [] : [{ curve, results }];
  });
  const parts = [
    ...introduction(gathered.runs),
    ...scenarioSection(
      measuredScenarios,
      new Map(scenarios.map(({ id, held = '' }) => [id, held])),
      gathered.profiles,
    ),
    ...curveSection(measuredCurves, pageName),
    ...statementSection(gathered.statements),
    ...notMeasured(gathered),
  ];
  const directory = path.join(out, pageName);
  await mkdir(measuredCurves.length > 0 ? directory : out, { recursive: true });
  await writeFile(path.join(out, `${pageName}.md`), `${parts.join('\n\n')}\n`);
  for (const measured of measuredCurves)
    await writeFile(path.join(directory, `${measured.curve.id}.svg`), curvePlot(measured));
  progress(
    `${path.join(out, `${pageName}.md`)}: ${measuredScenarios.length} scenarios, ${measuredCurves.length} curves.`,
  );
}

/** Nobody should have to find out what is not there. */
function notMeasured(gathered: Gathered): string[] {
  const missing = [
    ...scenarios.filter(({ id }) => !gathered.scenarios.has(id)).map(({ id }) => id),
    ...curves.filter(({ id }) => !gathered.curves.has(id)).map(({ id }) => `the curve ${id}`),
    ...(gathered.statements === undefined ? ['the statements'] : []),
  ];
  return missing.length === 0 ? [] : [paragraph(`Not measured yet: ${missing.join(', ')}.`)];
}

function introduction(runs: readonly Run[]): string[] {
  return [
    '# Benchmarks',
    '<!-- Written by `npx pnpm bench page` from bench/results. Change those, or bench/src/page, and not this. -->',
    paragraph(
      'How fast Pawl is, next to others and to the database itself, and how its cost grows. Everything is measured by the ' +
        'program in [bench](../bench/README.md), which brings its own server with default settings: a commit is on disk ' +
        'before anybody is told of it (not so with the embedded database, B12: PGlite does not sync its files).',
    ),
    commands(
      'npx pnpm bench --json results/scenarios.json         # the scenarios',
      'npx pnpm bench growth --json results/growth.json     # how cost grows',
      'npx pnpm bench statements --json results/statements.json   # what each statement costs in full tables',
      'npx pnpm bench profile --json results/profile.json  # where the time goes',
      'npx pnpm bench page                                  # this page, from bench/results',
    ),
    ...machineSection(runs),
  ];
}
