// The part of the page about how the cost grows: for each curve what it shows, a plot and a table.
import type { Curve, Panel } from '../growth/curve.ts';
import { digits } from '../report.ts';
import type { CurveResults } from '../results.ts';
import { commands, markdownTable, paragraph } from './markdown.ts';
import { type PlotPanel, renderPlot } from './plot.ts';

export interface MeasuredCurve {
  curve: Curve;
  results: CurveResults;
}

export function curveSection(measured: readonly MeasuredCurve[], plotDirectory: string): string[] {
  if (measured.length === 0) return [];
  return [
    '## How cost grows',
    paragraph(
      'Pawl alone, one quantity at a time; each point in a process of its own on a database of its own. Every result is ' +
        'checked, and the rows are counted afterwards.',
    ),
    ...measured.flatMap(({ curve, results }) => [
      `### ${curve.title}`,
      paragraph(curve.about),
      `![${curve.title}](${plotDirectory}/${curve.id}.svg)`,
      curveTable(curve, results),
      ...failureList(results),
      commands(`npx pnpm bench growth --curve ${curve.id}`),
    ]),
  ];
}

function curveTable({ quantity, columns }: Curve, { points }: CurveResults): string {
  return markdownTable(
    [quantity, ...columns.map(({ label }) => label)],
    points.map(({ x, medians }) => [
      x.toLocaleString('en-US'),
      ...columns.map(({ figure }) => digits(medians[figure])),
    ]),
  );
}

function failureList({ failures }: CurveResults): string[] {
  return failures.map(
    ({ x, message }) => `Not measured at ${x.toLocaleString('en-US')}: ${message.split('\n')[0] ?? ''}`,
  );
}

export function curvePlot({ curve, results }: MeasuredCurve): string {
  return renderPlot(
    curve.title,
    curve.panels.map((panel) => plotPanel(panel, curve, results)),
  );
}

function plotPanel(
  { title, figures, x, y, proportional = false }: Panel,
  curve: Curve,
  results: CurveResults,
): PlotPanel {
  return {
    title,
    xLabel: curve.quantity,
    x,
    y,
    proportional,
    lines: figures
      .map(({ figure, label }) => ({ label, points: pointsOf(figure, results) }))
      .filter(({ points }) => points.length > 0),
  };
}

function pointsOf(figure: string, { points }: CurveResults): (readonly [number, number])[] {
  return points.flatMap(({ x, medians }) => {
    const value = medians[figure];
    // JSON has null where a figure was not a number.
    return typeof value === 'number' ? [[x, value] as const] : [];
  });
}
