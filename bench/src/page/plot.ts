// Line plots as SVG, panels side by side. The same numbers give the same bytes. The background is transparent and every
// colour is of middle brightness, so that a plot is readable on a white page and on a dark one.
import { compact, linearScale, logScale, type Scale } from './scale.ts';

export interface PlotPanel {
  title: string;
  xLabel: string;
  x: 'linear' | 'log';
  y: 'linear' | 'log';
  /** Draws what a cost in proportion to x would be, through the last point of the first line. */
  proportional: boolean;
  lines: readonly PlotLine[];
}

interface PlotLine {
  label: string;
  points: readonly (readonly [x: number, y: number])[];
}

const size = { width: 410, height: 300 };
const frame = { left: 54, right: 394, top: 62, bottom: 246 };
const text = '#768390';
const grid = '#76839055';
const colours = ['#3b82d6', '#d9752b', '#2f9e62'];

export function renderPlot(title: string, panels: readonly PlotPanel[]): string {
  const width = size.width * panels.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${size.height}" width="${width}" height="${size.height}" ` +
      `font-family="system-ui, sans-serif" font-size="12" fill="${text}" role="img">`,
    `<title>${escape(title)}</title>`,
    ...panels.flatMap((panel, index) => [
      `<g transform="translate(${index * size.width} 0)">`,
      ...renderPanel(panel),
      '</g>',
    ]),
    '</svg>',
    '',
  ].join('\n');
}

function renderPanel(panel: PlotPanel): string[] {
  const xs = [...new Set(panel.lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const ys = panel.lines.flatMap(({ points }) => points.map(([, y]) => y));
  const x = panel.x === 'log' ? logScale(xs, xs) : linearScale(xs, xs);
  const y = panel.y === 'log' ? logScale(ys) : linearScale(ys);
  return [
    label(frame.left, 20, panel.title, 'font-size="13" font-weight="600"'),
    ...renderLegend(panel),
    ...renderAxes(panel.xLabel, x, y),
    ...(panel.proportional ? renderProportion(panel.lines[0]?.points ?? [], xs[0] ?? 0, x, y) : []),
    ...panel.lines.flatMap(({ points }, index) => renderLine(points, index, x, y)),
  ];
}

function renderAxes(xLabel: string, x: Scale, y: Scale): string[] {
  return [
    ...y.ticks.flatMap((tick) => {
      const height = down(y, tick);
      return [
        `<path d="M${frame.left} ${height}H${frame.right}" stroke="${grid}"/>`,
        label(frame.left - 8, Number(height) + 4, compact(tick), 'text-anchor="end"'),
      ];
    }),
    ...x.ticks.flatMap((tick) => {
      const place = across(x, tick);
      return [
        `<path d="M${place} ${frame.bottom}v5" stroke="${text}"/>`,
        label(Number(place), frame.bottom + 19, compact(tick), 'text-anchor="middle"'),
      ];
    }),
    `<path d="M${frame.left} ${frame.bottom}H${frame.right}" stroke="${text}"/>`,
    label((frame.left + frame.right) / 2, frame.bottom + 40, xLabel, 'text-anchor="middle"'),
  ];
}

function renderLegend({ lines, proportional }: PlotPanel): string[] {
  const names = lines.length > 1 ? lines.map((line) => line.label) : [];
  let left = frame.left;
  const entries = names.flatMap((name, index) => {
    const start = left;
    left += 34 + name.length * 6.6;
    return [
      `<path d="M${start.toFixed(1)} 40h16" ${stroke(index)}/>`,
      label(start + 21, 44, name, `fill="${colour(index)}"`),
    ];
  });
  if (!proportional) return entries;
  return [
    ...entries,
    `<path d="M${left.toFixed(1)} 40h16" ${proportionStroke}/>`,
    label(left + 21, 44, 'in proportion'),
  ];
}

function renderLine(points: PlotLine['points'], index: number, x: Scale, y: Scale): string[] {
  const places = points.map(([px, py]) => [across(x, px), down(y, py)] as const);
  return [
    `<polyline points="${places.map((place) => place.join(',')).join(' ')}" fill="none" ${stroke(index)}/>`,
    ...places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour(index)}"/>`),
  ];
}

const proportionStroke = `stroke="${text}" stroke-dasharray="2 4"`;

/** From where it enters the frame to the last point. */
function renderProportion(points: PlotLine['points'], firstX: number, x: Scale, y: Scale): string[] {
  const [lastX, lastY] = points.at(-1) ?? [0, 0];
  if (lastX <= 0 || lastY <= 0) return [];
  const fromX = Math.max(firstX, (lastX * y.least) / lastY);
  const fromY = (fromX * lastY) / lastX;
  return [
    `<path d="M${across(x, fromX)} ${down(y, fromY)}L${across(x, lastX)} ${down(y, lastY)}" ${proportionStroke}/>`,
  ];
}

// Each line is dashed in its own way: colours are not for everybody.
function stroke(index: number): string {
  const dashes = ['', ' stroke-dasharray="6 3"', ' stroke-dasharray="3 2"'];
  return `stroke="${colour(index)}" stroke-width="2"${dashes[index % dashes.length] ?? ''}`;
}

function colour(index: number): string {
  return colours[index % colours.length] ?? text;
}

function across(scale: Scale, value: number): string {
  return (frame.left + scale.at(value) * (frame.right - frame.left)).toFixed(1);
}

function down(scale: Scale, value: number): string {
  return (frame.bottom - scale.at(value) * (frame.bottom - frame.top)).toFixed(1);
}

function label(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${attributes && ` ${attributes}`}>${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
