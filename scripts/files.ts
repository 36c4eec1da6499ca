// Rules about files that no linter knows: their length, names and first line, and SQL in the store alone.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const MAX_LINES = 400;
const SOURCE = /\.(ts|tsx|js|mjs|cjs|sql|css|html)$/;
const PRODUCT = /^packages\/[^/]+\/src\//;
const TEST = /\.test\.ts$/;
const MAY_HOLD_SQL = /^packages\/core\/src\/(store|testing)\//;

/** Names that say where something was put instead of what it is. */
const EMPTY_NAME = /(^|[/-])(utils?|helpers?|managers?|common|base|impl)([-./]|$)/;

/** A string that opens with an SQL statement, or names one of our tables. */
const SQL = [
  /['"`]\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|CREATE|ALTER|DROP|TRUNCATE|LOCK|LISTEN|NOTIFY|SAVEPOINT)\s/,
  /['"`]\s*(BEGIN|COMMIT|ROLLBACK)\b[^'"`]{0,60}['"`]/,
  /\b(FROM|JOIN|INTO|UPDATE|CALL|SELECT)\s+pawl\./,
];

const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  encoding: 'utf8',
});
const faults: string[] = [];
const lengths: number[] = [];

for (const file of new Set(listed.split('\0'))) {
  if (!SOURCE.test(file) || !existsSync(file)) continue;
  const text = readFileSync(file, 'utf8');
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  if (lines > MAX_LINES)
    faults.push(`${file}: ${lines} lines, and ${MAX_LINES} is the limit. Split it by what it does.`);

  if (!PRODUCT.test(file) || TEST.test(file)) continue;
  lengths.push(lines);
  if (EMPTY_NAME.test(file.slice('packages/'.length))) {
    faults.push(`${file}: its name does not say what is inside.`);
  }
  if (!/^\s*(\/\/|\/\*)/.test(text) && path.extname(file) === '.ts') {
    faults.push(`${file}: it does not open with a comment on what it owns and what it never does.`);
  }
  if (!MAY_HOLD_SQL.test(file)) {
    for (const pattern of SQL) {
      const found = pattern.exec(text);
      if (!found) continue;
      const line = text.slice(0, found.index).split('\n').length;
      faults.push(`${file}:${line}: SQL outside packages/core/src/store.`);
    }
  }
}

lengths.sort((a, b) => a - b);
console.log(`${lengths.length} source files, median ${lengths[lengths.length >> 1] ?? 0} lines.`);
for (const fault of faults) console.log(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
