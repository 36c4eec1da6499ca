// Measures curves: every point in a process of its own on a database of its own, in rounds over the points of a curve, so
// that a slow minute of the machine does not bend the curve at one place.
import { runTurn } from '../contender.ts';
import type { Figures } from '../contract.ts';
import { withFreshDatabase } from '../database.ts';
import type { RunOptions } from '../options.ts';
import { progress } from '../progress.ts';
import { digits, medians, table } from '../report.ts';
import type { CurveResults } from '../results.ts';
import type { Limits } from '../rounds.ts';
import type { Curve } from './curve.ts';
import { pointName } from './curves.ts';

export async function runCurve(
  curve: Curve,
  options: RunOptions,
  serverUrl: string,
  limits: Limits,
): Promise<CurveResults> {
  const measured = new Map<number, Figures[]>(curve.points.map((x) => [x, []]));
  const failures: { x: number; message: string }[] = [];
  const rounds = Math.min(options.rounds, curve.rounds ?? options.rounds);
  progress(`${curve.id}  ${curve.title}`);

  for (let round = 0; round < rounds; round++) {
    for (const [x, figures] of measured) {
      // It would only fail again.
      if (failures.some((failure) => failure.x === x)) continue;
      const label = `  round ${round + 1}/${rounds}  ${x.toLocaleString('en-US').padStart(9)} ${curve.quantity}`;
      const outcome = await runPoint(curve, x, options, serverUrl, limits);
      if ('failure' in outcome) {
        progress(`${label}  FAILED: ${outcome.failure}`);
        failures.push({ x, message: outcome.failure });
      } else {
        progress(`${label}  ${said(curve, outcome.figures)}`);
        figures.push(outcome.figures);
      }
    }
  }
  const points = [...measured]
    .filter(([, figures]) => figures.length > 0)
    .map(([x, figures]) => ({ x, medians: medians(figures), rounds: figures }));
  return { id: curve.id, title: curve.title, quantity: curve.quantity, points, failures };
}

async function runPoint(
  curve: Curve,
  x: number,
  { seconds, warmupSeconds, cpuProfiles }: RunOptions,
  serverUrl: string,
  { deadline, interrupted }: Limits,
): ReturnType<typeof runTurn> {
  if (interrupted.aborted) return { failure: 'Not measured: interrupted.' };
  if (performance.now() > deadline) return { failure: 'Not measured: the time budget is used up.' };
  return withFreshDatabase(serverUrl, (databaseUrl) =>
    runTurn(
      {
        scenario: pointName(curve, x),
        contender: 'pawl',
        turn: { databaseUrl, seconds, warmupSeconds },
      },
      { signal: interrupted, minutes: curve.minutes, cpuProfiles },
    ),
  );
}

function said(curve: Curve, figures: Figures): string {
  return curve.columns.map(({ figure, label }) => `${digits(figures[figure])} ${label}`).join('; ');
}

export function renderCurves(results: readonly CurveResults[], curves: readonly Curve[]): string {
  return results
    .map(({ id, title, quantity, points }) => {
      const columns = curves.find((curve) => curve.id === id)?.columns ?? [];
      const rows = points.map(({ x, medians: figures }) => [
        x.toLocaleString('en-US'),
        ...columns.map(({ figure }) => digits(figures[figure])),
      ]);
      return `${title}\n${table([quantity, ...columns.map(({ label }) => label)], rows)}`;
    })
    .join('\n\n');
}
