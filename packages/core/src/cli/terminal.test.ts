// What reaches a terminal, and what a pipe: widths, colours, and nothing that a terminal would obey.
import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createTerminal, type Streams } from './terminal.ts';

function streams(tty?: { columns: number; colors?: boolean }) {
  let out = '';
  const sink = () =>
    Object.assign(
      new Writable({
        write(chunk, _encoding, done) {
          out += String(chunk);
          done();
        },
      }),
      tty && { isTTY: true, columns: tty.columns, hasColors: () => tty.colors ?? false },
    );
  const all = { stdin: { isTTY: tty !== undefined }, stdout: sink(), stderr: sink() };
  return { terminal: createTerminal(all as unknown as Streams), text: () => out };
}

const columns = [
  { title: 'ID', flexible: true },
  { title: 'STATUS' },
  { title: 'TOOK', align: 'right' as const },
];
const longID = 'order-'.repeat(30);

describe('a table', () => {
  test('is as wide as its cells where nobody has a width', () => {
    const { terminal, text } = streams();
    terminal.table(columns, [
      [longID, { text: 'ERROR', style: 'red' }, '1 ms'],
      ['b', 'SUCCESS', '12 ms'],
    ]);
    expect(text().split('\n')).toEqual([
      `ID${' '.repeat(178)}  STATUS    TOOK`,
      `${longID}  ERROR     1 ms`,
      `b${' '.repeat(179)}  SUCCESS  12 ms`,
      '',
    ]);
  });

  test.each([60, 80, 100])(
    'fits %i columns: the flexible cell takes several lines, and nothing is lost',
    (width) => {
      const { terminal, text } = streams({ columns: width });
      terminal.table(columns, [[longID, 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', '1 ms']]);
      const lines = text().trimEnd().split('\n');
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
      expect(lines.length).toBeGreaterThan(2);
      expect(text().replace(/\s|MAX_RECOVERY_ATTEMPTS_EXCEEDED|1 ms/g, '')).toContain(longID);
    },
  );

  test('counts wide characters as two columns', () => {
    const { terminal, text } = streams();
    terminal.table(columns, [
      ['注文', 'x', ''],
      ['1234', 'x', ''],
    ]);
    expect(text().split('\n').slice(1, 3)).toEqual(['注文  x', '1234  x']);
  });
});

test('of two flexible columns the wider one gives way first, and none altogether', () => {
  const { terminal, text } = streams({ columns: 60 });
  terminal.table(
    [{ title: 'A', flexible: true }, { title: 'B', flexible: true }, { title: 'C' }],
    [['a'.repeat(20), 'b'.repeat(90), 'c'.repeat(10)]],
  );
  expect(text().split('\n')[1]).toBe(`${'a'.repeat(20)}  ${'b'.repeat(26)}  ${'c'.repeat(10)}`);
});

test('colours go to a terminal that has them, and nowhere else', () => {
  const table = (tty?: { columns: number; colors: boolean }) => {
    const { terminal, text } = streams(tty);
    terminal.table(columns, [['a', { text: 'ERROR', style: 'red' }, '']]);
    terminal.heading('Input');
    terminal.print('\u001b[32mgreen\u001b[39m', { inspected: true });
    return text();
  };
  expect(table({ columns: 100, colors: true })).toContain('\u001b[31mERROR');
  expect(table({ columns: 100, colors: true })).toContain('\u001b[32mgreen');
  expect(table({ columns: 100, colors: false })).not.toContain('\u001b');
  expect(table()).not.toContain('\u001b');
});

test('nothing that was stored moves the cursor, changes colours or reorders the line', () => {
  const hostile = 'a\u001b[2J\u0007\u009b31m\r\u202eb';
  const { terminal, text } = streams({ columns: 100, colors: true });
  terminal.table([{ title: 'ID' }], [[hostile]]);
  terminal.fields([['Name', hostile]]);
  terminal.print(hostile);
  terminal.note(hostile);
  terminal.json({ id: hostile });
  const escaped = String.raw`a\u001b[2J\u0007\u009b31m\u000d\u202eb`;
  expect(text().split(escaped)).toHaveLength(5);
  // oxlint-disable-next-line no-control-regex
  const withoutOurs = text().replaceAll(/\u001b\[(1|22)m/g, '');
  expect(withoutOurs).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
  expect(JSON.parse(/\{.*\}/s.exec(text())?.[0] ?? '')).toEqual({ id: hostile });
});
