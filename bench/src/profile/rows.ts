// A profile as rows, for the screen and for the page. Pure functions.
import { digits, table } from '../report.ts';
import type { ProfileResults } from '../results.ts';

const longest = 100;

export const statementHead = ['on the server', 'calls per unit', 'mean, µs', 'of all calls'];

/** What is inside a function has its time in that of a call. */
export function statementRows({ statements }: ProfileResults): string[][] {
  return statements.map(({ text, isCall, callsPerUnit, micros, share }) => [
    `${isCall ? '' : 'inside: '}${text.length <= longest ? text : `${text.slice(0, longest - 1)}…`}`,
    digits(callsPerUnit),
    digits(micros),
    percent(share),
  ]);
}

export const codeHead = ['in the process', 'of its CPU time'];

export function codeRows({ code }: ProfileResults): string[][] {
  return code.map(({ owner, share }) => [owner, percent(share)]);
}

export function profileTitle({ id, clientCpuMicrosPerUnit, serverCpuMicrosPerUnit }: ProfileResults): string {
  const [server, client] = [digits(serverCpuMicrosPerUnit), digits(clientCpuMicrosPerUnit)];
  return `${id}: ${server} µs of the server's CPU and ${client} µs of the process's per unit`;
}

export function renderProfile(profile: ProfileResults): string {
  return [
    profileTitle(profile),
    table(statementHead, statementRows(profile)),
    table(codeHead, codeRows(profile)),
  ].join('\n\n');
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
