// A profile on the page, folded: it is long, and only for those who doubt the text above it.
import { codeHead, codeRows, profileTitle, statementHead, statementRows } from '../profile/rows.ts';
import type { ProfileResults } from '../results.ts';
import { markdownTable } from './markdown.ts';

export function profileTable(profile: ProfileResults): string {
  const asCode = ([text = '', ...rest]: string[]): string[] => [`\`${text.replaceAll('`', '')}\``, ...rest];
  return [
    `<details><summary>${profileTitle(profile)}</summary>`,
    markdownTable(statementHead, statementRows(profile).map(asCode)),
    markdownTable(codeHead, codeRows(profile)),
    '</details>',
  ].join('\n\n');
}
