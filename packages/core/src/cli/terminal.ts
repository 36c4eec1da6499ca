// Owns what goes to standard output and standard error: tables and texts for people, one JSON document for programs.
// Nothing that comes out of the database can move the cursor or change colours.

import { stripVTControlCharacters, styleText } from 'node:util';
import { terminalColumns } from 'terminal-columns';

type Style = Parameters<typeof styleText>[0];

export interface Column {
  title: string;
  /** Default: left. */
  align?: 'right';
  /** Gives way when the table is too wide: its cells take several lines. */
  flexible?: boolean;
}

export interface Cell {
  text: string;
  style?: Style | undefined;
}

export interface Terminal {
  readonly colors: boolean;
  /** Columns of the terminal; undefined where the output goes to a file or a program, which has no width. */
  readonly width: number | undefined;
  /** Whether there is somebody to ask. */
  readonly interactive: boolean;
  json(document: unknown): void;
  /** `inspected`: by util.inspect, whose colours are wanted. */
  print(text: string, options?: { inspected?: boolean }): void;
  table(columns: readonly Column[], rows: readonly (readonly (string | Cell)[])[]): void;
  /** Names and values, one below the other. */
  fields(rows: readonly (readonly [string, string | Cell])[]): void;
  heading(text: string): void;
  /** On standard error: what is no part of the answer. */
  note(text: string): void;
  ask(question: string): Promise<string>;
}

export interface Streams {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

export function createTerminal({ stdin, stdout, stderr }: Streams): Terminal {
  const width = stdout.isTTY ? stdout.columns || 80 : undefined;
  const colors = stdout.isTTY && stdout.hasColors();
  const styled = (text: string, style: Style | undefined): string =>
    colors && style !== undefined && text !== '' ? styleText(style, text, { validateStream: false }) : text;
  const rendered = (cell: string | Cell): string =>
    typeof cell === 'string' ? harmless(cell) : styled(harmless(cell.text), cell.style);
  const write = (text: string): void => {
    stdout.write(`${text}\n`);
  };

  return {
    colors,
    width,
    interactive: stdin.isTTY && stderr.isTTY,
    json: (document) => write(harmlessJSON(document)),
    print: (text, { inspected = false } = {}) =>
      write(harmless(text, { lines: true, colors: inspected && colors })),
    heading: (text) => write(`\n${styled(text, 'bold')}`),
    fields: (rows) => {
      const cells = rows.map(([name, value]) => [styled(name, 'bold'), rendered(value)]);
      write(layOut([{ title: '' }, { title: '', flexible: true }], cells, width));
    },
    table: (columns, rows) => {
      const header = columns.map(({ title }) => styled(title, 'bold'));
      write(layOut(columns, [header, ...rows.map((row) => row.map(rendered))], width));
    },
    note: (text) => stderr.write(`${harmless(text)}\n`),
    ask: async (question) => {
      const { createInterface } = await import('node:readline/promises');
      const reader = createInterface({ input: stdin, output: stderr });
      try {
        // Ctrl-C and the end of the input are answers too.
        const closed = new Promise<string>((resolve) => {
          reader.once('close', () => {
            stderr.write('\n');
            resolve('');
          });
        });
        return await Promise.race([reader.question(harmless(question)), closed]);
      } finally {
        reader.removeAllListeners('close').close();
      }
    },
  };
}

const GAP = 2;
/** No column gives way beyond this. */
const LEAST = 12;

function layOut(columns: readonly Column[], rows: string[][], width: number | undefined): string {
  const widths = columns.map((_, i) => rows.reduce((most, row) => Math.max(most, lengthOf(row[i])), 0));
  if (width !== undefined) giveWay(columns, widths, width);
  return terminalColumns(rows, {
    stdoutColumns: width ?? Number.POSITIVE_INFINITY,
    columns: columns.map(({ align, flexible }, i) => ({
      width: flexible ? (widths[i] as number) : 'content-width',
      ...(align && { align }),
      paddingRight: i === columns.length - 1 ? 0 : GAP,
    })),
  })
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Takes from the widest flexible column, again and again, until the table fits. */
function giveWay(columns: readonly Column[], widths: number[], width: number): void {
  let excess = widths.reduce((sum, each) => sum + each + GAP, -GAP) - width;
  for (; excess > 0; excess--) {
    const flexible = widths.map((each, i) => (columns[i]?.flexible ? each : 0));
    const widest = flexible.indexOf(Math.max(...flexible));
    if ((flexible[widest] as number) <= LEAST) return;
    widths[widest] = (widths[widest] as number) - 1;
  }
}

/** In columns of a terminal. */
function lengthOf(text = ''): number {
  const shown = stripVTControlCharacters(text);
  return [...shown].length + (shown.match(WIDE)?.length ?? 0);
}

/** Characters that take two columns, nearly enough. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/gu;

/** Control characters, and those that reorder text. */
const HARMFUL = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu;
// oxlint-disable-next-line no-control-regex
const COLOR = /\u001b\[\d{1,3}m/g;

/** The text with everything escaped that a terminal might obey; `lines` keeps line breaks, `colors` those of ours. */
function harmless(text: string, keep: { lines?: boolean; colors?: boolean } = {}): string {
  const escaped = (part: string) =>
    part.replace(HARMFUL, (character) =>
      keep.lines && character === '\n'
        ? character
        : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  if (!keep.colors) return escaped(text);
  const colors = text.match(COLOR) ?? [];
  return text
    .split(COLOR)
    .map((part, i) => escaped(part) + (colors[i] ?? ''))
    .join('');
}

/** JSON.stringify leaves characters in that JSON allows and terminals obey. */
function harmlessJSON(document: unknown): string {
  return JSON.stringify(document, null, 2).replace(HARMFUL, (character) =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
